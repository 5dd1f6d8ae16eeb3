"""What needs no socket to others, folder by folder as the code is.

bench/    figures and how they are read
gateway/  gateways
infra/    settings, stores, the broker's protocol, logs and metrics
ovation/  the command
schemas/  ids, subjects and times
scripts/  what the recipes run
workers/  the archive and the media worker

test_ports.py is of the tests themselves.
"""
