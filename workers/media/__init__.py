"""The media worker: RTMP in, HLS out.

Owns the RTMP port, the ffmpegs it starts, and the files under the media folder; tells the stream's record what the
video does. Refuses to know JetStream (only `keys.py` does, through `infra`), viewers, and comments.

An encoder's tags go to one `Broadcast` per stream, whose `Feed` decides where a `Generation` begins; a generation has
one `Strand` (an ffmpeg and its output) per rendition; strands publish segments into the stream's `Publication`.

    ingest.py       the worker's life: `run`
    streams.py      BroadcastRegistry: what is asked and told about streams (the contract)
    keys.py         the same, answered from the stream records
    rtmp/           the RTMP port
    publisher.py    an encoder's connection, as a broadcast sees it (the contract)
    broadcasts.py   all broadcasts: admission by key, ends that come from elsewhere
    broadcast.py    one stream's video: publisher, generation, restarts, state
    report.py       the stream's record follows the state
    feed.py         where generations begin and clocks break
    timeline.py     the encoder's clock against ours: EXT-X-PROGRAM-DATE-TIME
    flv.py          FLV tags, and the set-up a decoder needs first
    generation.py   passthrough and transcoder, started at one keyframe
    strand.py       one ffmpeg's output, cut and published
    ffmpeg.py       one process: bounded input, boxes out, dies with us
    command.py      the command lines
    mp4.py          reading ffmpeg's fragmented MP4
    cutter.py       fragments to segments
    publication.py  a stream's folder: renditions and master playlist
    rendition.py    one quality's files
    playlist.py     one quality's media playlist
    master.py       the multivariant playlist
    patience.py     restarts: how often, how soon
    slots.py        how many transcodes at once
"""
