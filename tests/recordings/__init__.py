"""Recordings of encoders, and how they are made."""
