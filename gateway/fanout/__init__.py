"""Fan-out and catch-up: one comment to every viewer in order, and every returning viewer made whole.

Owns the viewers' transports, the windows and the rings of this process.
Refuses to answer anything else over HTTP, and to decide who may watch (`gateway.access`).

    window.py      a window as a value: a range of the log, its items and its encoded frames
    wire.py        what a protocol has to be able to say to a viewer
    sse.py         the frames of Server-Sent Events
    ws.py          the frames of WebSocket
    deflate.py     compression shared by all viewers of a stream, in epochs
    windower.py    turns a feed that may lose into an unbroken run of windows (pure)
    follower.py    follows one stream: feed, repairs from the log, pulse
    sampling.py    who is shown what of a stream that says more than anyone can read (pure)
    cuts.py        what each cohort is shown of a window, while it is filled (pure)
    degradation.py the row of the policy that is in force for a stream
    ring.py        the newest windows of a stream, bounded (pure)
    shelf.py       what was read of the log for viewers further behind (pure)
    viewer.py      one connection: a transport and a position
    seat.py        a WebSocket connection's place in one stream's audience
    lane.py        the viewers that get the same bytes, and their epoch
    lanes.py       which viewers of a stream those are, and what each lane is written
    sender.py      the same bytes to many sockets, a slice of the loop's time after the other
    writing.py     one frame to many sockets, in Python and in C (writing.c)
    rhythm.py      when windows leave (pure)
    audience.py    one stream's follower, ring, viewers and flushes
    catchup.py     brings viewers from their positions to the live edge, taking turns
    greeting.py    the first delivery of viewers that bring no position
    backlog.py     what the ring does not hold, one read for all whom it serves
    pulse.py       what rides along: reactions and viewer counts
    sketch.py      distinct people from samples of each gateway's: exact, and estimated above a bound (pure)
    crowd.py       one stream's people in this gateway (pure)
    peer.py        what one other gateway has told of its viewers (pure)
    presence.py    viewer counts over gateways: what is told and what is known (pure)
    announcer.py   when presence is told and counts are shown
    logcheck.py    asks one log for the tails of its watched streams
    tailcheck.py   when, each log by itself, and which logs are to be asked before their rings are served
    arrivals.py    how many viewers came to each stream, counted durably
    audiences.py   the audiences of the process: opened, counted again, bounded, closed
    slices.py      very many things, looked at some at a time (pure)
    hub.py         all viewers of the process: room, tail checks, heartbeats, expiry, drain
    expulsion.py   ends the connections of those who may not watch any more
    admission.py   an events request checked and turned into a viewer, or into a problem
    connection.py  one WebSocket: bytes in, messages out, its own frames between the shared ones
    pace.py        how much a client may say (pure)
    office.py      what is said over WebSockets: understood, done, answered
    sockets.py     all WebSockets of the process: accepted, pinged, expired, drained
    refusal.py     a problem document on a connection that is no longer uvicorn's
    plain.py       requests as clients write them, read in one look (pure)
    doorway.py     where connections come in: viewers to admission, everything else to the protocol
    protocol.py    uvicorn's HTTP protocol, which hands events to admission, upgrades to the sockets, comments to exchanges
"""
