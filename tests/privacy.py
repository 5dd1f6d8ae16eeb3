"""People around a stream that is not for everyone, and every way to read it."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import jwt

from tests.cluster import Cluster
from tests.processes import Client


def token(c: Cluster, user_id: str, *roles: str, lives_s: int = 600) -> str:
    """A person's token, as the site would sign it."""
    claims = {"sub": user_id, "name": user_id, "roles": list(roles), "aud": "ovation", "exp": int(time.time()) + lives_s}
    return jwt.encode(claims, str(c.gateways[0].settings["jwt_secret"]), algorithm="HS256")


@dataclass
class People:
    """Clients by name; names are user ids, unlike those of every other test."""

    c: Cluster
    suffix: str
    clients: dict[str, Client]

    def __getitem__(self, name: str) -> Client:
        return self.clients[name]

    def id(self, name: str) -> str:
        """Somebody's user id."""
        return f"{name}/{self.suffix}"

    async def start(self, privacy: str, **fields: object) -> str:
        """Ada starts a stream; its id."""
        answer = await self["ada"].http.post("/streams/start", json={"title": "Ours", "privacy": privacy, **fields})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["stream_id"])

    async def follow(self, name: str, *, follows: bool = True) -> None:
        """Somebody follows Ada, or no longer."""
        call = self[name].http.put if follows else self[name].http.delete
        answer = await call(f"/users/{self.id('ada')}/follow")
        assert answer.status_code == (200 if follows else 204), answer.text

    async def invite(self, stream_id: str, name: str, *, invited: bool = True) -> None:
        """Ada invites somebody, or takes it back."""
        call = self["ada"].http.put if invited else self["ada"].http.delete
        answer = await call(f"/streams/{stream_id}/invitations/{self.id(name)}")
        assert answer.status_code == (200 if invited else 204), answer.text

    async def privacy(self, stream_id: str, privacy: str) -> None:
        """Ada changes it."""
        answer = await self["ada"].http.patch(f"/streams/{stream_id}", json={"privacy": privacy})
        assert (answer.status_code, answer.json()["privacy"]) == (200, privacy), answer.text

    async def hls_url(self, name: str, stream_id: str) -> str:
        """The playback URL somebody is given."""
        answer: dict[str, Any] = (await self[name].http.get(f"/streams/{stream_id}/watch")).json()
        return str(answer["hls_url"])


@asynccontextmanager
async def people(c: Cluster, *names: str, gateway: int = 0) -> AsyncIterator[People]:
    """Ada, who streams, Mo, who moderates, and others by name, each with a token."""
    suffix = f"{time.time_ns():x}"
    async with AsyncExitStack() as stack:
        found = People(c, suffix, {})
        for name in ("ada", "mo", *names):
            signed = token(c, found.id(name), *(["moderator"] if name == "mo" else []))
            found.clients[name] = await stack.enter_async_context(Client(c.url(gateway), signed))
        found.clients["nobody"] = await stack.enter_async_context(Client(c.url(gateway)))
        yield found
