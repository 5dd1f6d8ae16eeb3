"""The store in a file.

full_disk.py  fills a real file system and goes on
"""
