"""Ids, subjects and times."""
