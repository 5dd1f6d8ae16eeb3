"""The real things the tests run against: where each comes from, and what the header of a run says about it.

nats.py      nats-server: a process of ours that tests may kill, or one that runs elsewhere
s3.py        SeaweedFS, an S3 service: the same two
cassandra.py the CQL server that a run's tests share: which it is, and where
    cassandranode.py one Apache Cassandra as a process of ours
    securednode.py   one that asks for TLS, a certificate and a login
    cassandraring.py three that keep a copy each, to lose one or two of
    rightsnode.py    one with users, whose rights can be taken away
    keeper.py        the process that owns it, so that it lives as long as the run and no longer
programs.py  FFmpeg, Chromium and Node: path and version, and the refusal to run without them
"""
