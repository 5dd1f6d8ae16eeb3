"""Replay: what was said, again, at the pace it was said at.

Owns the connections of `GET /streams/{id}/replay`, their clocks and the pages of history that they share.
Refuses to decide who may watch (`gateway.access`), and to keep an account of what is removed (`gateway.fanout`'s audience does:
a replay's viewer is in its stream's audience, as every other viewer is, and is never live in it).

    request.py      what a replay's request asks for
    timeline.py     recorded time against this process's clock (pure)
    start.py        where a replay begins: position, time and first delivery
    page.py         a stretch of one stream's history, as a value
    library.py      the pages that were read a moment ago, bounded (pure)
    reading.py      pages out of log and store, one read for all who need it
    cues.py         whose turn is when (pure)
    viewer.py       one replay's connection
    hints.py        tells replays what was removed behind them
    replays.py      all replays of the process, taking turns
    admission.py    a replay's request checked and turned into a viewer, or into a problem
"""
