"""Recordings and pictures as objects: whole under their names, or not there at all.

Owns the contract and its two homes, a folder and an S3-compatible service; nobody above can tell which. Refuses to know
what an object is.

    contract.py    ObjectStore: what every home of objects promises
    names.py       what an object may be called
    home.py        the home that OVATION_MEDIA_URL names
    measured.py    any home, counted and timed
    folder.py      objects in a folder
    disk.py        what a disk says when it refuses
    s3.py          objects in a bucket of a service that speaks S3
    refusals.py    what such a service says when it refuses
"""
