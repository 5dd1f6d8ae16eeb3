"""The environment, read: `OVATION_*` variables into settings. An unknown one or a bad value stops the start (exit code 2)."""

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from infra.codecs import Codecs
from infra.errors import BadSettings
from infra.heights import Heights
from infra.limit import Limit
from infra.networks import Networks
from infra.policy import Policy, Weights
from infra.settings import PREFIX, Settings


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from *environ* (the process's own when `None`).

    Raises:
        BadSettings: names the first unknown or bad variable, and what was expected.
    """
    source = os.environ if environ is None else environ
    known = {PREFIX + name.upper(): name for name in Settings.__struct_fields__}
    values: dict[str, str] = {}
    for variable, value in source.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in known:
            msg = f"{variable} is no setting; docs/settings.md lists all of them{_nearest(variable, known)}"
            raise BadSettings(msg)
        values[known[variable]] = value
    converted: dict[str, object] = {}
    for name, text in values.items():
        if name in _NEVER_EMPTY and not text.strip(" ,"):
            msg = f"{PREFIX}{name.upper()} is empty: give it a value, or leave it out for {_DEFAULTS[name]}"
            raise BadSettings(msg)
        converted[name] = _convert(name, text)
    made = Settings(**converted)  # type: ignore[arg-type]  # each value was converted to its field's own type above
    _check_addresses(made)
    if made.rtmps_key_file and not made.rtmps_certificate_file:
        msg = f"{PREFIX}RTMPS_KEY_FILE is set: set {PREFIX}RTMPS_CERTIFICATE_FILE as well"
        raise BadSettings(msg)
    if made.proxy_protocol != "off" and not made.trusted_proxies:
        msg = f"{PREFIX}PROXY_PROTOCOL={made.proxy_protocol!r}: set {PREFIX}TRUSTED_PROXIES to the proxies that send it"
        raise BadSettings(msg)
    return msgspec.structs.replace(made, public_url=made.public_url.rstrip("/"))


def _check_addresses(made: Settings) -> None:
    servers = [server.strip() for server in made.nats_url.split(",") if server.strip()]
    if made.nats_url and not (servers and all(_is_address(each, "nats", "tls", "ws", "wss") for each in servers)):
        # The value is not repeated: people write passwords into it.
        msg = f"{PREFIX}NATS_URL: expected nats://host:port, comma separated; one of those given is not of that form"
        raise BadSettings(msg)
    public = made.public_url
    if public and (not _is_address(public, "http", "https") or "?" in public or "#" in public):
        msg = f"{PREFIX}PUBLIC_URL={public!r}: expected http://host or https://host, with a port or a path if need be"
        raise BadSettings(msg)
    if made.origin_url and not _is_address(made.origin_url, "http"):
        msg = f"{PREFIX}ORIGIN_URL={made.origin_url!r}: expected http://host:port"
        raise BadSettings(msg)


def _is_address(url: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:
        # Half an IPv6 address, or a port that is no number or above 65535.
        return False


#: To the system an empty host is every address of the machine, and an empty path the folder one happens to be in.
_NEVER_EMPTY = frozenset({"http_host", "rtmp_host", "ops_host", "data_dir"})
#: Types with a way of writing of their own.
_WRITTEN = (Codecs, Heights, Limit, Networks, Policy, Weights)
_TYPES = {f.name: f.type for f in msgspec.structs.fields(Settings)}
_DEFAULTS = {f.name: f.default for f in msgspec.structs.fields(Settings)}


def _convert(name: str, text: str) -> object:
    try:
        if _TYPES[name] == Limit | None:
            return Limit.parse(text) if text else None
        if _TYPES[name] in _WRITTEN:
            return _TYPES[name].parse(text)
        if _TYPES[name] is Path:
            return Path(text)
        return msgspec.convert(text, _TYPES[name], strict=False)
    except ValueError as error:
        msg = f"{PREFIX}{name.upper()}={text!r}: {error}"
        raise BadSettings(msg) from error


def _nearest(variable: str, known: Mapping[str, str]) -> str:
    import difflib  # noqa: PLC0415 - only on the way to an error

    close = difflib.get_close_matches(variable, known, n=1)
    return f" (did you mean {close[0]}?)" if close else ""
