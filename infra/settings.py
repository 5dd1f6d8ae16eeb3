"""Settings: one frozen struct, read from `OVATION_*` variables by `infra.environment`.

Every field is one variable: `http_port` is `OVATION_HTTP_PORT`. The comment above a field is what docs/settings.md says.
"""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from infra.codecs import Codecs
from infra.errors import BadSettings
from infra.heights import Heights
from infra.limit import Limit
from infra.networks import Networks
from infra.policy import Policy, Row, Weights

PREFIX = "OVATION_"
Port = Annotated[int, Meta(ge=0, le=65535)]
#: "inf" is a number to Python, and to no timer.
FINITE = 1e9
Seconds = Annotated[float, Meta(gt=0, le=FINITE)]
Count = Annotated[int, Meta(ge=1)]
#: How far a person is trusted with a stream's attention; each standing has a limit of its own.
Standing = Literal["trusted", "normal", "new"]


class Settings(Struct, frozen=True, kw_only=True):
    """All of them; a process reads those it needs."""

    # Where the public HTTP port listens. Use 0.0.0.0 to let other machines in.
    http_host: str = "127.0.0.1"
    # The public HTTP port: pages, API, events and HLS.
    http_port: Port = 8080
    # Where RTMP listens, comma separated. Use 0.0.0.0,:: to let encoders on other machines in.
    rtmp_host: str = "127.0.0.1,::1"
    # The RTMP port encoders push to.
    rtmp_port: Port = 1935
    # The port of RTMP over TLS, open where there is a certificate.
    rtmps_port: Port = 1936
    # A PEM file with the certificate of RTMPS and its chain; read again when it changes. Empty: no RTMPS.
    rtmps_certificate_file: str = ""
    # A PEM file with its key, not encrypted. Empty: the key is in the certificate's file.
    rtmps_key_file: str = ""
    # The internal port: /healthz, /readyz, /metrics; 0 chooses a free one. Under `ovation up` it is the supervisor's own.
    ops_port: Port = 9600
    # Where the internal port listens.
    ops_host: str = "127.0.0.1"
    # The port of the nats-server that `ovation up` starts.
    nats_port: Port = 4222
    # An existing NATS, comma separated (nats://host:4222). Empty: `ovation up` starts one.
    nats_url: str = ""
    # Where everything kept on one machine lives.
    data_dir: Path = Path(".ovation")
    # How many gateway processes `ovation up` runs on the one HTTP port.
    gateways: Annotated[int, Meta(ge=1, le=64)] = 1
    # The store: sqlite:///path, or scylla://host1,host2/keyspace for a cluster of ScyllaDB or Cassandra. Empty: a file in the
    # data directory.
    store_url: str = ""
    # Hosts of that cluster, comma separated, in place of those of OVATION_STORE_URL.
    scylla_contact_points: str = ""
    # Who logs in to the cluster. Empty: nobody has to.
    store_user: str = ""
    # That user's password.
    store_password: str = ""
    # Whether the cluster is reached by TLS; a file of one of the next three settings means so too.
    store_tls: bool = False
    # A PEM file with the authority that signed the cluster's certificates. Empty: those this machine trusts.
    store_ca_file: str = ""
    # A PEM file with our own certificate, where the cluster asks for one.
    store_certificate_file: str = ""
    # A PEM file with its key. Empty: the key is in the certificate's file.
    store_key_file: str = ""
    # Days for which a cluster keeps what was archived; 0 for ever. A file of SQLite keeps everything.
    store_ttl_days: Annotated[int, Meta(ge=0, le=3650)] = 30
    # Bytes of video and playlists a gateway keeps in memory for its viewers, all streams together.
    hls_cache_bytes: Annotated[int, Meta(ge=1024**2)] = 256 * 1024**2
    # Where recordings and pictures are kept: file:///path or s3://bucket/prefix. Empty: a folder in the data directory. The
    # files of live video are in the same folder, with s3:// in the one in the data directory.
    media_url: str = ""
    # Where the S3 service is: https://host:port. Empty: AWS.
    s3_endpoint: str = ""
    # The bucket's region. Empty: AWS_REGION, or us-east-1.
    s3_region: str = ""
    # The access key. Empty: the AWS_* variables, or the role that AWS gives the machine.
    s3_access_key_id: str = ""
    # The secret of that key.
    s3_secret_access_key: str = ""
    # Where requests name the bucket: path, host (bucket.endpoint), or auto (host on AWS, path elsewhere).
    s3_addressing: Literal["auto", "path", "host"] = "auto"
    # Seconds a stopping gateway spreads its viewers' reconnects over.
    drain_s: Annotated[float, Meta(ge=0, le=FINITE)] = 5.0
    # Live logs; more spread streams over more logs. Only ever raised: a stream stays where it was made.
    shards: Annotated[int, Meta(ge=1, le=256)] = 1
    # Copies of each log: 1, 3 or 5. Needs as many NATS servers.
    replicas: Literal[1, 3, 5] = 1
    # Hours the live log keeps; older history is in the store.
    live_max_age_h: Seconds = 24.0
    # Bytes one live log may hold, reserved on the disk's free space. When full, posting answers 503 and nothing is dropped.
    live_max_bytes: Count = 1024**3
    # Comments per user and stream: count/seconds, exact over all gateways.
    limit_user_stream: Limit = Limit(5, 30)
    # The same for trusted people: tokens with a role (moderator, admin, creator, verified). Empty: twice as many, 10/30.
    limit_user_stream_trusted: Limit | None = None
    # The same for new accounts: tokens whose `account_created_at` is recent. Empty: two in five, 2/30.
    limit_user_stream_new: Limit | None = None
    # Hours for which an account is new. A token that does not tell its account's age is not new.
    new_account_h: Annotated[float, Meta(ge=0)] = 24.0
    # Seconds in which the same person may not say the same again in the same stream (422 DUPLICATE); 0: they may, since
    # a post without an Idempotency-Key is a new comment each time.
    duplicate_s: Annotated[int, Meta(ge=0, le=3600)] = 0
    # Comments per user over all streams.
    limit_user: Limit = Limit(30, 60)
    # Reactions per user and stream.
    limit_reactions: Limit = Limit(10, 1)
    # Follows and invitations one user may change, taken back or not.
    limit_grants: Limit = Limit(60, 60)
    # Bytes of follows that are kept, about 300 each. When full, following answers 503.
    follows_max_bytes: Count = 128 * 1024**2
    # Milliseconds between two additions of one gateway to a stream's reaction counters; the first tap does not wait.
    reaction_ms: Annotated[int, Meta(ge=1, le=1000)] = 250
    # Parts of each counter, over which gateways spread: about as many as gateways. Takes effect at any time.
    counter_shards: Annotated[int, Meta(ge=1, le=64)] = 8
    # Who may start a stream: anyone (guests too) or role (tokens with the role creator or admin).
    creators: Literal["anyone", "role"] = "anyone"
    # Whether POST /session mints guests.
    guests: bool = True
    # Hours a guest's token lives.
    guest_ttl_h: Seconds = 24.0
    # The secret that signs and verifies tokens (HS256), at least 32 bytes. `ovation up` makes one of its own.
    jwt_secret: str = ""
    # A PEM file with the key that verifies the site's own tokens; then guests need jwt_secret as well.
    jwt_public_key_file: str = ""
    # The algorithm of that key.
    jwt_public_key_algorithm: Literal["RS256", "ES256", "EdDSA"] = "RS256"
    # Secrets that sign playback URLs of streams which are not public, comma separated, each at least 32 bytes. The first one
    # signs, all of them are accepted, so that one may follow another. Empty: derived from jwt_secret.
    playback_secrets: str = ""
    # Hours a playback URL holds, at most as long as the credential it was asked for with.
    playback_url_h: Seconds = 12.0
    # The address people use, for links: https://live.example. Empty: taken from each request.
    public_url: str = ""
    # Milliseconds between two flushes of a stream's window, but for two that a quiet stream has saved up; a row of
    # OVATION_POLICY may ask for more.
    window_ms: Annotated[int, Meta(ge=1, le=1000)] = 50
    # Milliseconds up to which that stretches by itself while a flush takes long to write; posts that are under way may add 50.
    window_max_ms: Annotated[int, Meta(ge=1, le=5000)] = 250
    # How frames are written to sockets, and connections accepted: auto (the compiled parts where there are) or python.
    writer: Literal["auto", "python"] = "auto"
    # What viewers of a large stream get: rows of viewers:interval_ms:items:rate:per_s (see docs/operating.md).
    policy: Policy = Policy(
        (
            Row(0, 0, 1000, 1.0, 0),
            Row(10_000, 50, 1000, 1.0, 20),
            Row(100_000, 100, 500, 1.0, 20),
            Row(1_000_000, 250, 250, 1.0, 20),
        )
    )
    # Milliseconds from a comment's arrival to its last viewer above which a stream is sampled by itself.
    sample_delivery_ms: Count = 1000
    # Viewers over all gateways below which a stream is never sampled by itself.
    sample_from: Count = 1000
    # How many times likelier to be shown than others in a sample: verified, reply, question.
    sample_weights: Weights = Weights()
    # Bytes of the newest windows kept per stream for resuming viewers.
    ring_bytes: Annotated[int, Meta(ge=0)] = 4 * 1024**2
    # Seconds a window stays in the ring.
    ring_s: Annotated[float, Meta(ge=0, le=FINITE)] = 120.0
    # Bytes of windows kept per process, all streams together.
    ring_total_bytes: Annotated[int, Meta(ge=0)] = 256 * 1024**2
    # People of one stream in one gateway up to which viewer counts are exact; above, sampled and marked approximate.
    presence_exact: Annotated[int, Meta(ge=16, le=16_384)] = 1024
    # Viewers one gateway takes; the next one is told to come back. Fewer where the system allows fewer descriptors.
    max_viewers: Count = 50_000
    # Connections one gateway holds besides viewers; past that a request is answered 503.
    max_connections: Count = 10_000
    # Viewers one person may have on one gateway, over all streams and tabs; 0 for any number.
    viewers_per_person: Annotated[int, Meta(ge=0)] = 20
    # Viewers one address (of IPv6: one /64) may have on one gateway; 0 for any number: thousands may share an address.
    viewers_per_address: Annotated[int, Meta(ge=0)] = 0
    # Seconds a request's head may take to arrive, and its body again; a connection that takes longer is closed.
    request_head_s: Seconds = 10.0
    # Proxies whose word about the client counts: comma separated networks (10.0.0.0/8,fd00::/8). Empty: nobody's.
    trusted_proxies: Networks = Networks()
    # PROXY protocol (version 2) from trusted proxies: off, optional (taken where it is sent) or required.
    proxy_protocol: Literal["off", "optional", "required"] = "off"
    # Seconds a broken broker is waited for before a post answers 503; a leader change takes up to 7.
    publish_wait_s: Seconds = 10.0
    # The ffmpeg program. Empty: the one from the wheel.
    ffmpeg: str = ""
    # The heights of the transcoded renditions, comma separated (480,360); 0 for none. Those below the source's, as many as the
    # processor has room for, the lowest first.
    transcode_heights: Heights = Heights((1080, 720, 480, 360))
    # The codecs of pictures that encoders may send: some of h264,hevc,av1. What is not H.264 is also transcoded to it, at the
    # best height the processor has room for, unless OVATION_TRANSCODE_HEIGHTS is 0.
    ingest_codecs: Codecs = Codecs(("h264", "hevc", "av1"))
    # Processor cores that transcoding may take on this worker; 0 for 0.7 of each that there is.
    transcode_cores: Annotated[float, Meta(ge=0, le=FINITE)] = 0.0
    # Seconds a part of a segment lasts, rounded to whole pictures; players stay three of them behind.
    part_target_s: Annotated[float, Meta(ge=0.1, le=1)] = 0.2
    # Seconds an encoder may be away before its stream leaves the worker's memory; it goes on from the folder after that.
    media_grace_s: Annotated[float, Meta(ge=0, le=FINITE)] = 30.0
    # Where gateways reach the internal port of a media worker (http://host:port). Empty: where it listens.
    origin_url: str = ""
    # Seconds without a publisher after which the viewers are told that the video is interrupted.
    media_interrupt_s: Annotated[float, Meta(ge=0, le=FINITE)] = 1.0
    # Whether what is broadcast is recorded.
    recording: bool = True
    # Days a recording is kept after it became ready; 0: for ever.
    recording_retention_days: Annotated[float, Meta(ge=0, le=FINITE)] = 30.0
    # Bytes of recorded video that may wait in the data directory while OVATION_MEDIA_URL is away; past it recordings have gaps.
    recording_spool_bytes: Count = 8 * 1024**3
    # RTMP connections one media worker takes.
    max_publishers: Count = 200
    # RTMP connections from one address (of IPv6: one /64); 0 for any number, as behind a proxy for TCP.
    publishers_per_address: Annotated[int, Meta(ge=0)] = 50
    # Refused stream keys per address: count/seconds; after that even a good key has to wait. Counted from the first.
    limit_bad_keys: Limit = Limit(10, 60)
    # Mbit/s one encoder may send, averaged over 5 s; above, it is cut and told.
    publish_max_mbit: Annotated[float, Meta(gt=0, le=FINITE)] = 20.0
    # Seconds between two keyframes above which an encoder is cut and told. Above 2 s it is warned.
    keyframe_max_s: Annotated[float, Meta(gt=0, le=10)] = 10.0
    # auto: people's form on a terminal, JSON elsewhere.
    log_format: Literal["auto", "json", "text"] = "auto"
    # The least level that is logged.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    # How many times the archive tries a message before it is dead-lettered.
    archive_max_deliver: Count = 10
    # Messages the archive commits at once.
    archive_batch: Annotated[int, Meta(ge=1, le=10_000)] = 1000
    # Milliseconds the archive waits for more messages once it has one, or as long as the last batch took, up to 0.8 s, where
    # that is longer; a full batch goes at once.
    archive_gather_ms: Annotated[float, Meta(ge=0, le=10_000)] = 50.0

    def limit_of(self, standing: Standing) -> Limit:
        """Comments per user and stream for people of one standing; without settings of their own they follow the normal's."""
        normal = self.limit_user_stream
        match standing:
            case "trusted":
                return self.limit_user_stream_trusted or Limit(2 * normal.count, normal.seconds)
            case "new":
                return self.limit_user_stream_new or Limit(max(1, 2 * normal.count // 5), normal.seconds)
            case "normal":
                return normal

    @property
    def store_is_cluster(self) -> bool:
        """Whether OVATION_STORE_URL names a cluster rather than a file."""
        return self.store_url.startswith("scylla://")

    def store_path(self) -> Path:
        """The SQLite file.

        Raises:
            BadSettings: OVATION_STORE_URL is of no kind this version has.
        """
        if self.store_url and not self.store_url.startswith("sqlite://"):
            msg = f"{PREFIX}STORE_URL={self.store_url!r}: expected sqlite:///path or scylla://host1,host2/keyspace"
            raise BadSettings(msg)
        return self._path("store_url", self.store_url, "sqlite", self.data_dir / "store" / "ovation.sqlite")

    def media_path(self) -> Path:
        """The folder of live HLS files: on this machine, wherever recordings go (`infra.objects.home`).

        Raises:
            BadSettings: OVATION_MEDIA_URL is of no kind this version has.
        """
        url = "" if self.media_url.startswith("s3://") else self.media_url
        return self._path("media_url", url, "file", self.data_dir / "media", " or s3://bucket/prefix")

    @staticmethod
    def _path(name: str, url: str, scheme: str, default: Path, other: str = "") -> Path:
        if not url:
            return default
        found, sep, path = url.partition("://")
        if not (sep and found == scheme and path):
            msg = f"{PREFIX}{name.upper()}={url!r}: expected {scheme}:///path{other}"
            raise BadSettings(msg)
        # Four slashes name an absolute path in SQLite URLs, three are commonly written for one as well.
        return Path("/" + path.lstrip("/"))
