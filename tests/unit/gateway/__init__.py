"""Parts of a gateway.

edge/    who connects, how often and for whom
fanout/  windows, frames, samples and counts of viewers
replay/  whose turn is when, and the pages that replays share
"""
