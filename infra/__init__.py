"""Adapters: everything that touches a socket, a clock or the environment.

Owns connections, stores, telemetry and settings. Refuses to know any process: nothing here imports gateway, workers,
replay or ovation.

    settings.py    every setting, its type and default, in one frozen struct
    environment.py OVATION_* variables into it; unknown and bad ones stop the start
    policy.py      what a large stream's viewers get, as settings are written
    codecs.py      codecs that encoders may send, likewise
    heights.py     heights of renditions, likewise
    limit.py       how often something may be done, likewise
    networks.py    networks of trusted machines, as settings are written
    folders.py     folders that settings name, made at the start
    ports.py       listening, and who holds a port, said before anything starts
    clock.py       time as a dependency: the system's, and one that tests move by hand
    answers.py     what was found for many who asked together, told to each
    errors.py      the few errors, named for what the caller must do
    stores.py      the contracts of CommentStore and StreamStore
    lifecycle.py   one process's life: states told to the parent, SIGTERM drains, a second one ends
    jetstream/     everything that speaks to NATS
    storage.py     the stores that OVATION_STORE_URL names, opened
    sqlite/        the stores on SQLite
    scylla/        the stores on a cluster of ScyllaDB or Cassandra
    objects/       recordings and pictures, in a folder or on S3
    telemetry/     logs, metrics and the internal port
"""
