"""Figures of benchmarks, and how they are read."""
