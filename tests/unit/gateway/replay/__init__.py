"""Whose turn is when, and the pages that replays share."""
