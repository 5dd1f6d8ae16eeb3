"""The gateway: HTTP in, Server-Sent Events out. Holds no state that is not a cache.

Owns the public HTTP API, fan-out and catch-up, the HLS cache and the pages.
Refuses to write to the store (the archive does) and to know which store it is (`process.py` alone does).

    process.py      the composition root: settings in, a running gateway out
    parts.py        a gateway's parts, put together
    app.py          the ASGI application: the route table and nothing else
    auth.py         credentials into principals: tokens, cookies, tickets
    signed.py       tokens of the shared secret, without PyJWT's price
    access.py       may this viewer watch, may this person change
    granted.py      who follows whom and who is invited, as far as this gateway knows: bounded, kept in step
    playback.py     playback URLs of streams that are not public: signed, in the path
    follows.py      the calls about following
    invitations.py  the calls about invitations
    people.py       who else a request means
    sessions.py     guests and tickets
    directory.py    the stream records this gateway knows
    streams.py      the stream calls
    recordings.py   where a finished recording is
    comments.py     read and remove comments
    posting.py      a comment's way in: checks, limits, the log
    spending.py     what a comment spends of its author's limits, counted from when it is stored
    standing.py     how far a person is trusted: which limit is theirs
    taken.py        when the log took a comment
    direct.py       posted comments without ASGI, with the same answers
    cycle.py        what stands in the place of uvicorn's cycle for one request and its response
    exchange.py     such a one with a body, answered in one write
    recess.py       when posts begin: between flushes that take long
    reactions.py    reactions, answered once they are counted durably
    taps.py         taps of this gateway, added up: one durable addition per interval
    commands.py     the commands of a WebSocket, through the same functions as the HTTP calls
    text.py         what a comment's text may be
    ingest.py       what a stream's encoder sends, from the media log
    history.py      store and log as one history
    ranges.py       a part of it in its own order, for who catches up and for replays
    decided.py      what the log says was decided before an audience began to follow
    commentpage.py  a page of comments, out of both
    merged.py       rows of the store and messages of the log as one sequence
    totals.py       how many comments a stream has
    joined.py       questions that many ask at once: one is under way, one waits
    gathered.py     questions for keys that come one by one, asked together
    logends.py      the ends of the live logs, as their leaders know them
    originals.py    the comment that a key was used for
    earlier.py      whether a key was used before, with the store or without it
    patience.py     how long the store is waited for
    unarchived.py   what the log has and the store does not have yet
    kept.py         what is kept between two questions, bounded by its weight
    latekeys.py     keys that the log is about to forget and the store does not know yet
    shown.py        one item as a viewer may see it now
    removals.py     what must not be shown again
    encodings.py    whether a client takes gzip (pure)
    requests.py     what handlers ask of a request
    openapi.py      the API's own description
    problems.py     every error as a problem document
    payload.py      what a body may be: 16 kB of JSON that fits a struct
    body.py         bodies of ASGI requests, bounded
    cors.py         what scripts of pages elsewhere may do
    middleware.py   one log line and one measurement per request
    traces.py       trace ids of requests (pure)
    pages.py        the web pages
    edge/           connections: who they are for, how many, how long, and how they end
    hls/            video: one answer for all who ask, from memory or the media worker
    fanout/         viewers, windows, rings, catch-up
    replay/         what was said, again, at the pace it was said at
"""
