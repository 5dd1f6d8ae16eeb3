"""Who connects to a gateway, how often, and for whom."""
