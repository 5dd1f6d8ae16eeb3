"""The dialogue with encoders, the packaging of video, playlists.

recording/  what is recorded, on its way home
"""
