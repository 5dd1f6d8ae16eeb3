"""The workers.

archive/  the archive's watermark and alarm
media/    the dialogue with encoders, the packaging of video, playlists
"""
