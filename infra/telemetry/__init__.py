"""What a process tells about itself: logs, metrics and the internal port.

Owns how things are told. Refuses to tell credentials: tokens, tickets and stream keys are cut out of every line.

    logs.py      structlog: JSON, or people's form on a terminal
    metrics.py   every metric of every process, with type, unit and meaning
    ops.py       the internal port: /healthz, /readyz, /metrics, and what a process adds
    answers.py   what is answered there
"""
