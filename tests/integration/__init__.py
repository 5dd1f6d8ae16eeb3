"""Parts of ours on the real thing: a broker, a store, FFmpeg, a proxy, a service of objects.

conftest.py        the loop that they run on, which is that of the processes
killed_archive.py  an archive that stops for ever inside a write, to be killed there
"""
