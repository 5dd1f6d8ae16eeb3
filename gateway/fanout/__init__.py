"""Fan-out and catch-up: one comment to every viewer in order, and every returning viewer made whole.

Owns the viewers' transports, the windows and the rings of this process.
Refuses to answer anything else over HTTP, and to decide who may watch (`gateway.access`).

    window.py      a window as a value: a range of the log, its items and its encoded frames
    wire.py        what a protocol has to be able to say to a viewer
    sse.py         the frames of Server-Sent Events
    deflate.py     compression shared by all viewers of a stream, in epochs
    windower.py    turns a feed that may lose into an unbroken run of windows (pure)
    follower.py    follows one stream: feed, repairs from the log, pulse
    sampling.py    who is shown what of a stream that says more than anyone can read (pure)
    degradation.py the row of the policy that is in force for a stream
    ring.py        the newest windows of a stream, bounded (pure)
    viewer.py      one connection: a transport and a position
    lane.py        the viewers that get the same bytes, and their epoch
    sender.py      the same bytes to many sockets, a slice of the loop's time after the other
    writing.py     one frame to many sockets, in Python and in C (writing.c)
    audience.py    one stream's follower, ring, viewers and flushes
    catchup.py     brings viewers from their positions to the live edge, taking turns
    greeting.py    the first delivery of viewers that bring no position
    backlog.py     what the ring does not hold, one read for all whom it serves
    pulse.py       what rides along: reactions and viewer counts
    presence.py    viewer counts summed over gateways
    tailcheck.py   asks the logs for the tails of watched streams
    hub.py         all audiences of the process: tail checks, heartbeats, expiry, drain
    admission.py   an events request checked and turned into a viewer, or into a problem
    doorway.py     where connections come in: viewers to admission, everything else to the protocol
    protocol.py    uvicorn's HTTP protocol, which hands events to admission, upgrades to the sockets, comments to exchanges
"""
