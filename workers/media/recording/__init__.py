"""What is broadcast stays: recorded as it comes, finished when its stream has ended, let go of in time.

Owns the spool, the objects below `{stream_id}/recording/`, and the posters. Refuses to make a live stream wait, and to show a
recording of which anything is missing that is still on its way.

The listing is the index: one name per segment says all that playlists need, so that nothing has to be kept in step with it.

    names.py       the name of a recorded segment
    recorder.py    a stream's parts on their way to the spool
    pen.py         the thread that writes them
    spool.py       the folder in which segments wait; what is salvaged of it after a crash
    uploads.py     a stream's segments on their way home
    recordings.py  all of this worker
    tracks.py      a listing: segments in order, and where they break
    fragments.py   parts read back: durations, keyframes
    initial.py     initialisation segments read back: codecs, sizes, time scales
    vod.py         the playlists of a finished recording
    mp4.py         one MP4, without encoding
    pictures.py    posters, strips and their cues
    program.py     one short ffmpeg at low priority
    finishing.py   the order in which a recording becomes visible
    duties.py      ended streams: finish, retain, delete
    claims.py      one worker at a time (the contract)
    posters.py     the newest picture of what is live, and its strip so far
    strips.py      which pictures a live strip has
    keeping.py     all of the above, put together
"""
