"""The real things the tests run against: where each comes from, and what the header of a run says about it.

nats.py      nats-server: a process of ours that tests may kill, or one that runs elsewhere
s3.py        SeaweedFS, an S3 service: the same two
programs.py  FFmpeg, Chromium and Node: path and version, and the refusal to run without them
"""
