"""Benchmarks of the fan-out and of ingest: one command each, results in `results/`, tables and plots in README.md.

The load generator and the limit are C; everything else drives the real `ovation gateway` from outside. The server under
test runs alone on core 0; load generator, publisher and nats-server share core 1.

    client.c          the load generator: viewers, publisher, verification of every delivery
    csend.c           the limit: a C send() loop with the wire bytes of a gateway
    viewers.h         the load generator's connections
    feed.h            its publisher
    frames.h          frames parsed once and recognised afterwards
    packed.h          compressed bytes, inflated once and recognised afterwards
    histogram.h       latencies
    sockets.h         epoll and sockets, shared by both programs
    awake.py          cores that never idle, for virtual machines; its loop is awake.c
    steering.py       the viewers' half of TCP on their core
    build.py          compiles them on first use
    client.py         the load generator as an object
    servers.py        nats-server and gateway, started and pinned
    fanout_server.py  the gateway's fan-out without a broker, for the cost of a write alone
    peers.py          what we are compared with: C loop, nchan, a Starlette queue
    starlette_server.py  a queue per viewer behind a StreamingResponse
    nginx.py          Debian's nginx, as a proxy and for nchan
    cpu.py            what processes cost: CPU, memory, system calls
    memory.py         `python -m bench.memory`: bytes per viewer, accepted connections per second
    guest.py          a benchmark in an emulated machine that has none of this one's limits
    accepting.py      accepted connections per second against the C loop and nchan
    rounds.py         rounds and their statistics
    corpus.py         what is said: plain comments and chat
    options.py        the options all benchmarks share
    results.py        a benchmark's outcome as a file
    writes.py         CPU per socket write against the C loop and peers
    path.py           the whole path: posts in, viewers out
    posting.py        durable comments through one gateway, beside nats-py
    post_client.c     its HTTP client
    poisson.py        latency under random arrivals
    compression.py    bytes and CPU with gzip
    slow.py           viewers that stop reading
    storm.py          everybody cut and back at once
    streams.py        very many quiet streams
    tls.py            behind nginx with TLS
    ingest.py         many encoders at 4 Mbit/s, over RTMP and RTMPS
    ingest_server.py  the RTMP port whose broadcasts lead nowhere
    broadcast.py      a live broadcast: gateway, media worker, an encoder that burns in the clock
    alignment.py      a recording's chat against the clock in its pictures
    recording.py      ten minutes with two encoder drops, on a folder and on S3
    reel.py           its source: encoded once, sent over and over at real pace
    longshow.py       the show: takes, drops and chat
    replayed.py       what came of it, decoded and played
    glass.py          `python -m bench.glass`: from glass to glass in Chromium's players
    adaptive.py       a line that narrows and widens: three qualities, and the player between them
    outage.py         an encoder that is killed and returns, as players see it
    origin.py         low-latency viewers of one gateway
    lowlatency.py     those viewers
    conformance.py    five minutes of a stream, read strictly
    players/          a page with hls.js, Shaka, video.js and Chromium's own player
    archive.py        the stores against their bare drivers
    drivers.py        the bare drivers it is measured against
    replays.py        a log replayed in random order, to the byte, on both stores
    pages.py          pages of a million comments, wherever they lie
    evenings.py       that stream: two evenings a week apart
    shelf.py          stores filled with it
    asks.py           every kind of page that is asked for
    through.py        the same by way of a gateway
    lookups.py        comments by key on CQL, many at once
    nodes.py          three CQL nodes of which one hangs, one dies, two die
    phases.py         what came of it
    storefaults.py    ten minutes of a store that is full, read-only, refusing or slow
    storebreaks.py    those faults
    asker.py          one person who asks for pages and posts meanwhile
    report.py         results into README.md
    plots.py          results into pictures
"""
