"""The `ovation` command: everything on one machine, and the tools around it.

Owns the child processes, the data directory and what people read on a terminal.
Refuses to do any process's work itself: it starts the same `ovation gateway` and `ovation worker` that a cluster runs.

    __main__.py     `python -m ovation`
    cli.py          the commands and their options
    up.py           everything on this machine: what is started, in which order, and how it ends
    broker.py       the nats-server of `up`, and its internal port
    supervisor.py   children that are restarted with backoff, and their states
    child.py        one child process, which never outlives its parent
    retold.py       lines of a program that has a form of its own, told as JSON (pure)
    programs.py     nats-server and ffmpeg, from their wheels
    screen.py       one line per process, on a terminal and off it
    status.py       the states, written for `ovation status` and read by it
    datadir.py      the data directory: format, owner, secret
    demo.py         a test picture over real RTMP, and guests who chat
    doctor.py       what is missing on this machine
    token.py        tokens minted by hand
    topology.py     the files of nats/, compared and applied
    verify.py       a live log, compared with the store
    verdicts.py     what a live log decides on the comments of a stream
"""
