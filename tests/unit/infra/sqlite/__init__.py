"""The store in a file.

full_disk.py   fills a real file system and goes on
lost_pages.py  reads a file of which a part is lost
"""
