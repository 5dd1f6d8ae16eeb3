"""Where the cluster is and how to speak to it: `scylla://host1,host2:9042/keyspace?dc=dc1` and the settings beside it.

In several regions each has a data center of its own, named with its copies: `?dc=eu&replication=eu:3,us:3`. Everybody reads by
a quorum of the data center that is theirs, and the archive's writes wait for a quorum of each (`cluster.py`).
"""

import re
import ssl
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs

from msgspec import Struct, field

from infra.errors import BadSettings
from infra.settings import Settings

PORT = 9042
DAY_S = 86_400
_OPTIONS = {"dc", "create_keyspace", "replication"}
_FORM = (
    "scylla://host1,host2/keyspace, with ?dc=NAME&create_keyspace=true&replication=3 if need be, "
    "or ?dc=NAME&replication=NAME:3,OTHER:3 in several data centers"
)
#: TimeWindowCompactionStrategy does well with some 30 windows; what is kept for ever has windows of a month.
WINDOWS = 30


class Address(Struct, frozen=True, kw_only=True):
    """One keyspace of one cluster, as this process reaches it."""

    hosts: tuple[str, ...]
    keyspace: str
    port: int = PORT
    #: The data center whose nodes are asked and make a quorum; empty: that of the first host that answers.
    dc: str = ""
    #: Whether a migration may create the keyspace, with that many copies in the data center, or in each that is named.
    create_keyspace: bool = False
    replication: int = 3
    regions: dict[str, int] = field(default_factory=dict)
    user: str = ""
    password: str = ""
    tls: bool = False
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
    #: Seconds that what is archived is kept; 0 for ever.
    ttl_s: int = 30 * DAY_S

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Read OVATION_STORE_URL, OVATION_SCYLLA_CONTACT_POINTS and the other OVATION_STORE_* settings.

        Raises:
            BadSettings: names the one that is wrong; never a password.
        """
        place, _, query = settings.store_url.partition("://")[2].partition("?")
        named, _, keyspace = place.partition("/")
        if "@" in named:
            msg = "OVATION_STORE_URL names a user: set OVATION_STORE_USER and OVATION_STORE_PASSWORD instead, URLs are logged"
            raise BadSettings(msg)
        options = {name: values[-1] for name, values in parse_qs(query).items()}
        hosts, port = _hosts(settings.scylla_contact_points or named)
        copies, regions = _copies(options.get("replication", "3"))
        if not (hosts and keyspace.isidentifier() and options.keys() <= _OPTIONS and (copies or regions)):
            msg = f"OVATION_STORE_URL={settings.store_url!r}: expected {_FORM}"
            raise BadSettings(msg)
        if regions and options.get("dc") not in regions:
            msg = (
                f"OVATION_STORE_URL={settings.store_url!r}: ?dc= names the data center of this process, "
                f"one of {', '.join(regions)}"
            )
            raise BadSettings(msg)
        return cls(
            hosts=hosts,
            port=port,
            keyspace=keyspace,
            dc=options.get("dc", ""),
            create_keyspace=options.get("create_keyspace") == "true",
            replication=copies or 3,
            regions=regions,
            user=settings.store_user,
            password=settings.store_password,
            tls=settings.store_tls or bool(settings.store_ca_file or settings.store_certificate_file),
            ca_file=settings.store_ca_file,
            certificate_file=settings.store_certificate_file,
            key_file=settings.store_key_file,
            ttl_s=settings.store_ttl_days * DAY_S,
        )

    @property
    def window_days(self) -> int:
        """Days of one window of compaction: what ends after the TTL is then dropped by files."""
        return max(1, self.ttl_s // DAY_S // WINDOWS) if self.ttl_s else WINDOWS

    def copies(self, local: str) -> dict[str, int]:
        """Data center -> copies, as the keyspace has them; *local* is the one that is meant where none is named."""
        return self.regions or {self.dc or local: self.replication}

    def ssl_context(self) -> ssl.SSLContext | None:
        """What TLS connections begin with; `None` without TLS.

        Raises:
            BadSettings: a file cannot be read or holds no certificate or key.
        """
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
            # Nodes are found by address, which their certificates seldom name: an authority of one's own vouches for all it
            # signed. Where everybody's authorities are trusted, only the name tells the cluster from a stranger.
            context.check_hostname = not self.ca_file
            if self.certificate_file:
                context.load_cert_chain(Path(self.certificate_file), self.key_file or None)
        except (OSError, ssl.SSLError) as error:
            msg = f"OVATION_STORE_CA_FILE, OVATION_STORE_CERTIFICATE_FILE or OVATION_STORE_KEY_FILE: {error}"
            raise BadSettings(msg) from error
        return context

    def __repr__(self) -> str:
        # Never the password.
        return f"Address({self})"

    def __str__(self) -> str:
        return f"{','.join(self.hosts)}:{self.port}/{self.keyspace}"


def _copies(text: str) -> tuple[int, dict[str, int]]:
    """How many in the one data center, or in each of several; neither where *text* says neither."""
    if text.isdecimal():
        return int(text), {}
    regions: dict[str, int] = {}
    for each in text.split(","):
        name, _, copies = each.strip().partition(":")
        # The name stands in the statement that makes the keyspace.
        if not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or not copies.isdecimal() or not int(copies) or name in regions:
            return 0, {}
        regions[name] = int(copies)
    return 0, regions


def _hosts(named: str) -> tuple[tuple[str, ...], int]:
    """Hosts and their common port.

    Raises:
        BadSettings: the ports differ, or one is none.
    """
    hosts, ports = [], set()
    for each in filter(None, (word.strip() for word in named.split(","))):
        host, bracket, rest = each.rpartition("]") if each.startswith("[") else ("", "", each)
        name, _, port = rest.partition(":")
        hosts.append(host.lstrip("[") if bracket else name)
        ports.add(port or str(PORT))
    if len(ports) > 1 or not all(port.isdecimal() and 0 < int(port) < 65_536 for port in ports):
        msg = f"the hosts of the store ({named}): all nodes of a cluster serve CQL on one port"
        raise BadSettings(msg)
    return tuple(hosts), int(ports.pop()) if ports else PORT
