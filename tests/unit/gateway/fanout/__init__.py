"""Windows, frames, samples and counts of viewers."""
