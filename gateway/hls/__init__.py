"""HLS: a collapsing cache in front of the media workers, which alone render playlists.

However many viewers wait for the next part, its worker is asked once per address; every gateway passes on the same bytes.
Refuses to change what a worker said, to answer from a worker that is no longer the owner, and to end a player's patience: while
nobody owns a live stream its last playlist stays.

    place.py      what an address names
    entrance.py   who is let in to a stream's video
    owners.py     which worker owns a stream's video: the leases, followed
    upstream.py   a worker asked over HTTP
    files.py      what a stream has left: files of its live video, and what is kept
    films.py      whole recordings in one file, streamed
    shelf.py      answers kept in memory, bounded in bytes
    lasts.py      the last whole playlist of every rendition
    relay.py      one answer per address for all who ask: from the shelf, the owner, a file, or the last there was
    reply.py      an answer and its bytes on the wire: ranges, gzip, HEAD
    view.py       one request and its response, without a task of its own
    protocol.py   requests taken out of uvicorn before an ASGI cycle begins
    route.py      all others, by way of ASGI
"""
