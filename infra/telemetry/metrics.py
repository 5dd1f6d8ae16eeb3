"""Every metric of every process: name, type, unit and meaning in one place. docs/metrics.md is printed from here.

Labels have few values, all known beforehand; nothing is ever labelled by stream or viewer.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

#: Seconds. Made for what people wait for: a post is answered in milliseconds, a leader change takes seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


def _counter(name: str, meaning: str, *labels: str) -> Counter:
    return Counter(name, meaning, labels, registry=REGISTRY)


def _gauge(name: str, meaning: str, *labels: str) -> Gauge:
    return Gauge(name, meaning, labels, registry=REGISTRY)


def _histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = _SECONDS) -> Histogram:
    return Histogram(name, meaning, labels, registry=REGISTRY, buckets=buckets)


# gateway
VIEWERS = _gauge("ovation_viewers", "Connections that receive events")
SOCKETS = _gauge("ovation_sockets", "WebSocket connections open, whether they watch a stream or not")
COMMANDS = _counter("ovation_socket_commands", "Commands that came over WebSockets, by type", "type")
WINDOWS = _counter("ovation_windows", "Windows flushed")
SHED = _counter("ovation_windows_shed", "Windows that left comments out because more waited than a gateway keeps of a stream")
GRANTS_ASKED = _counter("ovation_grants_asked", "Follows and invitations that a gateway had to ask the broker for")
EXPELLED = _counter("ovation_viewers_expelled", "Connections ended because the viewer may not watch any more")
REFUSED = _counter(
    "ovation_connections_refused",
    "Connections turned away, by reason: viewers, person, address, draining, gone, connections, slow, proxy",
    "reason",
)
SKIPPED = _counter("ovation_viewers_skipped", "Times a slow viewer was skipped and brought back from the ring")
RESUMED = _counter("ovation_catchup_reads", "Reads that brought viewers forward, by source: ring or history", "source")
RANGES = _counter(
    "ovation_range_reads",
    "Ranges read for viewers who catch up and for replays, by source: log alone, or store (the log has not got it whole)",
    "source",
)
GAPS = _counter("ovation_gaps", "Gaps told to viewers, by reason", "reason")
FEED_REPAIRS = _counter("ovation_feed_repairs", "Times the feed had lost something and the log was read")
REQUESTS = _histogram("ovation_request_seconds", "HTTP requests answered, by method and status class", "method", "status")
POSTS = _counter("ovation_posts", "Comments posted, by outcome: created, repeated, or a problem's code", "outcome")
UNCOUNTED = _counter(
    "ovation_limits_uncounted",
    "Comments stored long after their token, which could not be renewed: a window may have one more; by kind of limit",
    "kind",
)
REACTIONS = _counter("ovation_reactions", "Reactions, by outcome: counted or failed", "outcome")
REACTION_BATCHES = _counter("ovation_reaction_batches", "Additions to reaction counters; each carries the taps of an interval")
HLS_CACHED = _counter("ovation_hls_cached", "HLS requests answered from memory")
HLS_JOINED = _counter("ovation_hls_joined", "HLS requests that waited for what another had asked for already")
HLS_FETCHES = _counter(
    "ovation_hls_fetches",
    "HLS addresses fetched, by source: origin, file, frozen (the last playlist), missing, away or failed",
    "source",
)
FILMS = _gauge("ovation_hls_films", "Whole recordings that are being sent to viewers")
OBJECT_SECONDS = _histogram(
    "ovation_object_seconds",
    "Operations on recordings and pictures (a stream or listing: its first piece), by result: ok, refused or unavailable",
    "operation",
    "result",
)
HLS_CACHE = _gauge("ovation_hls_cache_bytes", "Bytes of video and playlists kept in memory")
PROBLEMS = _counter("ovation_problems", "Problem documents sent, by code", "code")

# archive
ARCHIVED = _counter("ovation_archived_items", "Items committed to the store")
ARCHIVE_LAG = _gauge("ovation_archive_lag", "Messages of a live log that no archive has committed yet", "log")
ARCHIVE_LAG_SECONDS = _gauge("ovation_archive_lag_seconds", "Age of the oldest of them", "log")
ARCHIVE_SHARE = _gauge(
    "ovation_archive_unarchived_share",
    "What is not archived yet, as a share of the age or the bytes that the log keeps",
    "log",
    "of",
)
ARCHIVE_BEHIND = _gauge(
    "ovation_archive_behind",
    "1 while that share is an alarm: from 0.25 of the age, or 0.7 of the bytes; 0 otherwise",
    "log",
    "of",
)
ARCHIVE_SLOW = _gauge(
    "ovation_archive_slow",
    "1 while what waits for the archive is older than 30 s, or a batch takes the store longer than 1 s; 0 otherwise",
    "log",
)
LOG_SHARE = _gauge(
    "ovation_log_bytes_share", "Bytes of a live log, archived or not, as a share of its bound; at 1 posts are refused", "log"
)
ARCHIVE_COMMIT = _histogram("ovation_archive_commit_seconds", "Duration of one store transaction")
WORKER_WAITING = _gauge("ovation_worker_waiting", "1 while a worker waits for what it depends on, 0 otherwise", "log")
WORKER_RETRIES = _counter("ovation_worker_retries", "Tries of a worker that ended with what it depends on being away", "log")
DEAD_LETTERS = _counter("ovation_dead_letters", "Poison messages put aside, by consumer", "consumer")

# media
PUBLISHERS = _gauge("ovation_publishers", "Encoders connected and accepted")
RTMP_CONNECTIONS = _gauge("ovation_rtmp_connections", "Connections to the RTMP ports, by transport: rtmp or rtmps", "transport")
RTMP_CLOSED = _counter(
    "ovation_rtmp_closed",
    "Connections closed by us, by reason: total or address (no room), protocol (no or wrong RTMP), silent (a deadline)",
    "reason",
)
INGEST_BYTES = _counter("ovation_ingest_bytes", "Bytes taken from encoders that publish")
INGEST_MESSAGES = _counter("ovation_ingest_messages", "RTMP messages taken from encoders that publish")
INGEST_RATE = _histogram(
    "ovation_ingest_mbit",
    "Mbit/s of each encoder, every 5 s",
    buckets=(0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 20.0, 30.0),
)
INGEST_FRAMES = _counter("ovation_ingest_frames", "Frames taken from encoders and packaged, by kind: video or audio", "kind")
INGEST_DROPPED = _counter("ovation_ingest_frames_dropped", "Frames of no use, since they came before a keyframe")
INGEST_LATE = _counter(
    "ovation_ingest_frames_late", "Pictures that came over 500 ms later than the quickest of the last minutes: players run dry"
)
ENCODER_WARNINGS = _counter(
    "ovation_encoder_warnings", "Encoders told what to set otherwise, by what: keyframes or bit_rate", "about"
)
PUBLISH_REFUSED = _counter(
    "ovation_publish_refused",
    "Encoders refused, by reason: key, guesses (too many wrong keys), unavailable, codec, keyframes, bit_rate, messages, slow",
    "reason",
)
FFMPEG_RESTARTS = _counter("ovation_ffmpeg_restarts", "Times an ffmpeg was started again after it died")
SEGMENTS = _counter("ovation_segments", "HLS segments made public")
GENERATIONS = _counter("ovation_generations", "Generations that viewers were shown: each is a discontinuity in all renditions")
PART_DELAY = _histogram(
    "ovation_part_delay_seconds",
    "From the arrival of a part's last picture until the part can be fetched, by rendition: source is passed through",
    "rendition",
)
PARTS_LATE = _counter(
    "ovation_parts_late",
    "Parts that could be fetched more than their duration and 100 ms after the one before, by rendition",
    "rendition",
)
ENCODER_SPEED = _histogram(
    "ovation_encoder_speed",
    "Media seconds an ffmpeg made per second of wall clock, every 5 s, by rendition: 1 keeps up",
    "rendition",
    buckets=(0.25, 0.5, 0.75, 0.9, 0.95, 1.05, 1.25, 1.5, 2.0, 4.0),
)
TRANSCODER_LAG = _histogram(
    "ovation_transcoder_lag_seconds",
    "Media an ffmpeg was given and has not made, every 5 s; one over 3 s for 5 s is killed",
)
RENDITIONS_DROPPED = _counter(
    "ovation_renditions_dropped", "Renditions not made (any more), by reason: slow, failing (ffmpeg), budget", "reason"
)
MEDIA_QUEUED = _gauge(
    "ovation_media_queued",
    "What waits in bounded queues, by sink: files (writes, 200 per stream), ffmpeg (bytes, 8 MB each), events (1000 in all)",
    "sink",
)
MEDIA_DROPS = _counter(
    "ovation_media_drops",
    "What those queues lost, by sink: files (writes given up), ffmpeg (killed with a full queue), events (given up)",
    "sink",
)
SPOOL_BYTES = _gauge("ovation_recording_spool_bytes", "Bytes of recorded segments that wait in the spool for their home")
RECORDING_LAG = _gauge("ovation_recording_lag_seconds", "Age of the oldest recorded segment that waits for its home")
RECORDED = _counter("ovation_recorded_segments", "Segments recorded")
RECORDING_LOST = _counter(
    "ovation_recording_gaps",
    "Gaps in recordings, by reason: queue (the disk is too slow), disk (it is full or broken), spool (its limit is reached)",
    "reason",
)
FINISHING = Histogram(
    "ovation_recording_finish_seconds",
    "Duration of making a finished recording: playlists, MP4 and pictures",
    registry=REGISTRY,
    buckets=(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0),
)
FINISHING_FAILED = _counter(
    "ovation_recording_failures",
    "Failures around finished recordings, by what failed: mp4, pictures, poster, home, given_up",
    "what",
)


def exposition() -> bytes:
    """All of this process's metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


def table() -> str:
    """The body of docs/metrics.md."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for collector in sorted(_declared(), key=lambda each: each._name):  # noqa: SLF001 - the library offers no other way
        kind = type(collector).__name__.lower()
        name = collector._name + ("_total" if kind == "counter" else "")  # noqa: SLF001 - as above
        labels = ", ".join(collector._labelnames)  # noqa: SLF001 - as above
        rows.append(f"| `{name}` | {kind} | {labels} | {collector._documentation} |")  # noqa: SLF001 - as above
    return "\n".join(rows) + "\n"


def _declared() -> list[Counter | Gauge | Histogram]:
    return [each for each in globals().values() if isinstance(each, (Counter, Gauge, Histogram))]
