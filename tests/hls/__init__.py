"""Video between viewers and the media worker: gateways before a scripted worker, and the checkers of what is served.

stage.py         gateways, a stream, and a scripted worker that owns it
scripted.py      the worker: says what a test tells it to
playlist.py      a media playlist, read strictly
multivariant.py  a multivariant one
rules.py         what both have to be, and what may change of them
fragments.py     when samples are shown, out of fragmented MP4
conftest.py      the stage as a fixture
client.py        a client that plays all renditions and says what is wrong
faults.py        violations, planted between an origin and the client
"""
