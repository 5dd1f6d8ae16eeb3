"""The edge: connections before they are requests, and what every one of them is allowed.

Owns who a connection's client is, how many connections there may be and for how long one may stay silent, and how they end.
Refuses to know a route, a stream or a credential: those are the API's and the fan-out's.

    proxyheader.py  the PROXY protocol's header, version 2 (pure)
    forwarded.py    the client behind trusted proxies, from what they forward (pure)
    quotas.py       viewers per person and per address (pure)
    descriptors.py  how many connections this process can hold at all
    lines.py        light connections, all watched through one descriptor
    accepting.py    many accepted connections in one call, in Python and in C (accepting.c)
    acceptor.py     takes connections from a listening socket, many in one turn of the loop
    protocol.py     uvicorn's HTTP protocol with bounds: the proxy's header, deadlines, too many, drain
    server.py       uvicorn's server: one listening socket, deadlines looked after, and an end that cuts nobody off
"""
