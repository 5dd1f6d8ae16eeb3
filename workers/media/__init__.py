"""The media worker: RTMP in, HLS out.

Owns the RTMP port, the ffmpegs it starts, and the files under the media folder; tells the stream's record what the
video does. Refuses to know JetStream (only `keys.py` does, through `infra`), viewers, and comments.

An encoder's tags go to one `Broadcast` per stream, whose `Feed` decides where a `Generation` begins. A generation turns them
into the parts of the passthrough by itself, and hands them to one ffmpeg (`Transcoding`) whose tags become the parts of the
lower renditions the same way. All parts go through one `Run` into the stream's `Publication`, which `Origin` serves.

    ingest.py       the worker's life: `run`
    streams.py      BroadcastRegistry: what is asked and told about streams (the contract)
    keys.py         the same, answered from the stream records
    rtmp/           the RTMP port
    publisher.py    an encoder's connection, as a broadcast sees it (the contract)
    broadcasts.py   all broadcasts: admission by key, ends that come from elsewhere
    broadcast.py    one stream's video: publisher, generation, restarts, state
    compatible.py   a stream that few players can play waits for its H.264
    report.py       the stream's record follows the state
    chronicle.py    one stream's events, with who, when and the media clock
    journal.py      where events are told (the contract)
    ledger.py       the same, written to the log MEDIA
    metadata.py     what an encoder says of itself
    punctuality.py  late frames, late parts, and the delay of parts
    feed.py         where generations begin and clocks break
    timeline.py     the encoder's clock against ours: EXT-X-PROGRAM-DATE-TIME
    flv.py          FLV tags, and the set-up a decoder needs first
    flvreader.py    the FLV that ffmpeg writes
    generation.py   passthrough and transcoded renditions, begun at one keyframe
    transcoding.py  one ffmpeg for all lower renditions, supervised
    speed.py        how fast ffmpeg is, for its supervision and for the metrics
    ffmpeg.py       one process: bounded input, a pipe per rendition, dies with us
    command.py      its command line
    ladder.py       which lower renditions, by source and processor
    patience.py     restarts: how often, how soon
    cmaf/           tags to parts: our own muxer, pure
    run.py          the parts between two discontinuities, held back until targets and dates are known
    publication.py  a stream's renditions and master playlist, in memory and in its folder
    rendition.py    one quality as players see it now, and who waits for more of it
    playlist.py     one quality's media playlist, as a value
    m3u8.py         its text
    variants.py     which qualities there are, and since when each may be told of
    master.py       the multivariant playlist
    filing.py       files are written in order
    shelf.py        one quality's folder
    recording/      what is broadcast stays: spool, home, finished recordings, posters
    origin.py       what gateways ask for
    ownership.py    one worker owns a stream (the contract)
"""
