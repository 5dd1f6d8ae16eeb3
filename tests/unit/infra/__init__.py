"""Settings, stores, the broker's protocol, logs and metrics.

jetstream/  the parser of the broker's protocol
scylla/     the store on a cluster
sqlite/     the store in a file
telemetry/  logs and metrics
"""
