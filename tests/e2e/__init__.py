"""Whole processes as they really run: killed, paused and restarted, with encoders, players and Chromium around them.

conftest.py  how long tests in a browser wait for what a page shows
reading.mjs  reads compressed events with Node's own client
"""
