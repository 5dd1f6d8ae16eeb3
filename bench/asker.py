"""One person beside the audience, who asks for pages, posts with a key and joins, one after the other."""

import threading
import time
from collections import Counter

import httpx
from msgspec import Struct, field

from bench.servers import Site, tokens

APART_S = 2.0
PROBES = ("page", "oldest page", "keyed post", "join")


class Probe(Struct):
    """What one reader saw: seconds of each answer that was as it should be, and the others by status."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in PROBES})
    failed: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in PROBES})


class Asker:
    """Asks one gateway for what people ask for, one thing after the other, until told to stop."""

    def __init__(self, place: Site) -> None:
        self._place = place
        self._number = 0
        self.probe = Probe()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def fresh(self) -> Probe:
        """What was seen so far; begins anew."""
        seen, self.probe = self.probe, Probe()
        return seen

    def stop(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        [token] = tokens(self._place.secret, 1)
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{self._place.port}", headers=headers, timeout=30) as http:
            while not self._stop.wait(APART_S):
                for name in PROBES:
                    self._ask(http, name)

    def _ask(self, http: httpx.Client, name: str) -> None:
        self._number += 1
        began = time.monotonic()
        try:
            wanted = 201 if name == "keyed post" else 200
            status = self._join(http) if name == "join" else self._answer(http, name).status_code
        except httpx.HTTPError as error:
            self.probe.failed[name][type(error).__name__] += 1
            return
        if status == wanted:
            self.probe.seconds[name].append(time.monotonic() - began)
        else:
            self.probe.failed[name][str(status)] += 1

    def _answer(self, http: httpx.Client, name: str) -> httpx.Response:
        if name == "keyed post":
            body = {"text": f"probe {self._number}"}
            return http.post(self._place.posts, json=body, headers={"Idempotency-Key": f"k{self._number}"})
        query = "?limit=50" if name == "page" else "?limit=50&sort=asc"
        return http.get(self._place.posts + query)

    def _join(self, http: httpx.Client) -> int:
        """The status once comments are there."""
        path = self._place.path.partition("?")[0]
        with http.stream("GET", path, headers={"Accept-Encoding": "identity"}) as answer:
            for line in answer.iter_lines():
                if line.startswith("data:") and '"text"' in line:
                    break
            return answer.status_code
