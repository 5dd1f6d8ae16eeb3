"""Fan-out and catch-up: one comment to every viewer in order, and every returning viewer made whole.

Owns the viewers' transports, the windows and the rings of this process.
Refuses to answer anything else over HTTP, and to decide who may watch (`gateway.access`).

    window.py      a window as a value: a range of the log, its items and its encoded bytes
    sse.py         the frames of Server-Sent Events, plain and deflated
    windower.py    turns a feed that may lose into an unbroken run of windows (pure)
    ring.py        the newest windows of a stream, bounded (pure)
    viewer.py      one connection: a transport and a position
    audience.py    one stream's viewers, feed, windows and flushes
    catchup.py     brings a viewer from a position to the live edge: ring, then log, then store
    pulse.py       what rides along: reactions and viewer counts
    sketch.py      distinct people from samples of each gateway's: exact, and estimated above a bound (pure)
    crowd.py       one stream's people in this gateway (pure)
    peer.py        what one other gateway has told of its viewers (pure)
    presence.py    viewer counts over gateways: what is told and what is known (pure)
    announcer.py   when presence is told and counts are shown
    hub.py         all audiences of the process: tail checks, heartbeats, expiry, drain
    admission.py   an events request checked and turned into a viewer, or into a problem
    protocol.py    uvicorn's HTTP protocol, which hands the events route to admission
"""
