"""The client behind trusted proxies: X-Forwarded-For and X-Forwarded-Proto, as far as trusted machines wrote them."""

from collections.abc import Iterable

from infra.networks import Networks, read


def client(peer: str, headers: Iterable[tuple[bytes, bytes]], trusted: Networks) -> str:
    """The right-most address that is not itself a trusted proxy's; *peer* when it is not one, or said nothing.

    Every proxy adds at the right, so what stands left of the first address that is not trusted was written by whoever has
    it, and means nothing. Something that is no address ends the search at the proxy that passed it on.
    """
    if peer not in trusted:
        return peer
    found = peer
    said = b",".join(value for name, value in headers if name == b"x-forwarded-for").decode("latin-1")
    for text in reversed(said.split(",")):
        try:
            found = str(read(_bare(text.strip())))
        except ValueError:
            return found
        if found not in trusted:
            return found
    return found


def scheme(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """What the last proxy says the client spoke: `http` or `https`; call it for trusted peers only."""
    said = [value for name, value in headers if name == b"x-forwarded-proto"]
    last = said[-1].rpartition(b",")[2].strip().lower() if said else b""
    return last.decode() if last in (b"http", b"https") else None


def _bare(text: str) -> str:
    """Without the port and the brackets that some proxies write: `10.0.0.1:4711`, `[2001:db8::1]:4711`."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
