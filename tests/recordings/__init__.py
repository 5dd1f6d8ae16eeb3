"""Recordings of encoders, and how they are made.

record.py  everything an encoder sends, kept
"""
