"""Viewer counts over gateways: a model of people, gateways and a network that loses messages."""

import random
from collections import Counter

import msgspec
import pytest

from gateway.fanout import presence as presence_module
from gateway.fanout.crowd import ANONYMOUS
from gateway.fanout.presence import EXPIRES_S, MESSAGE_BYTES, Presence
from gateway.fanout.sketch import person
from infra.clock import HandClock
from schemas.pulse import PresenceMessage

STREAM, OTHER = "stream-1", "stream-2"
EXACT = 1024
TURN_S = 0.25


class Net:
    """Gateways around one clock; `turn` lets each tell and hear."""

    def __init__(self, gateways: int, exact: int = EXACT) -> None:
        self.clock = HandClock()
        self.exact = exact
        self.gateways = [self.new(n) for n in range(gateways)]
        self.bytes = self.messages = 0

    def new(self, number: int) -> Presence:
        """A gateway that has just started."""
        return Presence(f"gateway-{number}", self.clock, self.exact)

    def turn(self, times: int = 1, *, lost: bool = False) -> None:
        """A quarter of a second: all tell, and hear unless it is *lost*."""
        for _ in range(times):
            for gateway in self.gateways:
                for payload in gateway.messages():
                    self.bytes += len(payload)
                    self.messages += 1
                    for other in self.gateways:
                        if not lost:
                            other.take(payload)
            self.clock.advance(TURN_S)
            for gateway in self.gateways:
                gateway.expire()

    def counts(self, stream_id: str = STREAM) -> set[tuple[int, bool]]:
        """What the gateways say, once where they agree."""
        for gateway in self.gateways:
            gateway.changed()
        return {gateway.count(stream_id) for gateway in self.gateways}


def _decoded(payloads: list[bytes]) -> list[PresenceMessage]:
    return [msgspec.msgpack.decode(payload, type=PresenceMessage) for payload in payloads]


def test_one_person_with_three_tabs_is_one_viewer() -> None:
    """On one gateway or on three; closing one tab changes nothing, closing the last one does."""
    net = Net(3)
    ada = person("ada")
    for gateway in [*net.gateways, net.gateways[0]]:
        gateway.join(STREAM, ada)
    net.gateways[1].join(STREAM, person("bob"))
    net.turn(2)
    assert net.counts() == {(2, False)}

    net.gateways[0].leave(STREAM, ada)
    net.gateways[1].leave(STREAM, ada)
    net.turn(2)
    assert net.counts() == {(2, False)}

    net.gateways[0].leave(STREAM, ada)
    net.gateways[2].leave(STREAM, ada)
    net.turn(2)
    assert net.counts() == {(1, False)}


def test_connections_without_a_credential_are_people_of_their_own() -> None:
    """They are counted exactly, however many there are."""
    net = Net(2, exact=16)
    for n in range(5000):
        net.gateways[n % 2].join(STREAM, ANONYMOUS)
    net.gateways[0].join(STREAM, person("ada"))
    net.turn(2)

    assert net.counts() == {(5001, False)}


def test_above_the_bound_counts_are_marked_and_below_it_exact_again() -> None:
    """1,500 people in each of two gateways, 500 of them in both: near 2,500 and equal everywhere; 500 each are exact."""
    net = Net(2)
    crowds = [{person(f"p{n}") for n in range(1500)}, {person(f"p{n}") for n in range(1000, 2500)}]
    for gateway, crowd in zip(net.gateways, crowds, strict=True):
        for each in crowd:
            gateway.join(STREAM, each)
    net.turn(4)
    [(count, approximate)] = net.counts()
    assert approximate
    assert abs(count - 2500) < 125

    for gateway, crowd in zip(net.gateways, crowds, strict=True):
        for each in sorted(crowd)[500:]:
            gateway.leave(STREAM, each)
    net.turn(4)
    assert net.counts() == {(len(set(sorted(crowds[0])[:500]) | set(sorted(crowds[1])[:500])), False)}


def test_a_large_crowd_that_changes_is_followed() -> None:
    """Numbers at each change, the sample within seconds: who moves to another gateway is not counted twice for long."""
    net = Net(2)
    crowd = [person(f"p{n}") for n in range(3000)]
    for gateway in net.gateways:
        for each in crowd:
            gateway.join(STREAM, each)
    net.turn(2)
    assert {abs(count - 3000) < 150 for count, _ in net.counts()} == {True}
    for each in crowd[:1500]:
        net.gateways[0].leave(STREAM, each)
    for each in crowd[1500:]:
        net.gateways[1].leave(STREAM, each)
    net.turn(12)

    assert net.counts() == {(3000, True)}


def test_a_silent_gateway_is_forgotten_and_remembered_when_it_speaks() -> None:
    """Its viewers vanish after 3.5 s of silence, and are all back within a second of its return."""
    net = Net(2)
    other = net.gateways.pop()
    for n in range(50):
        other.join(STREAM, person(f"p{n}"))
    net.gateways[0].join(STREAM, person("p0"))
    for payload in other.messages():
        net.gateways[0].take(payload)
    net.turn(int(EXPIRES_S / TURN_S))
    assert net.counts() == {(50, False)}
    net.turn()
    assert net.counts() == {(1, False)}

    net.gateways.append(other)
    net.turn(4)
    assert net.counts() == {(50, False)}


def test_a_gateway_that_was_paused_forgets_nobody_before_it_has_listened() -> None:
    """Ten seconds without a turn are its own silence; what was said meanwhile waits in its socket."""
    net = Net(2)
    net.gateways[1].join(STREAM, person("ada"))
    net.turn(2)
    net.clock.advance(10)
    for gateway in net.gateways:
        gateway.expire()
    assert net.counts() == {(1, False)}

    del net.gateways[1]
    net.turn(int(EXPIRES_S / TURN_S) + 1)
    assert net.counts() == {(0, False)}


def test_a_gateway_that_starts_later_learns_everything_by_asking() -> None:
    """5,000 streams of another gateway are known a moment after its start, though nothing changed in them."""
    net = Net(1)
    for n in range(5000):
        net.gateways[0].join(f"stream-{n}", person(f"p{n}"))
    net.turn(8)
    late = net.new(7)
    net.gateways.append(late)
    net.turn(5)

    assert {late.count(f"stream-{n}") for n in range(5000)} == {(1, False)}


def test_what_did_not_change_is_not_told_again() -> None:
    """10,000 quiet streams are an empty message a second, and all of them once a minute."""
    net = Net(2)
    for n in range(10_000):
        net.gateways[0].join(f"stream-{n}", person(f"p{n}"))
    net.turn(20)
    net.bytes = net.messages = 0
    net.turn(4 * 50)
    assert net.messages <= 2 * 51
    assert net.bytes < 2 * 51 * 40

    net.turn(4 * 15)
    assert net.bytes < 600_000


def test_messages_stay_small() -> None:
    """100 crowds of 1,000 and 20,000 small ones are told in pieces, asked for or not, and arrive whole."""
    net = Net(1)
    for n in range(100):
        for m in range(1000):
            net.gateways[0].join(f"large-{n}", person(f"p{n}-{m}"))
    for n in range(20_000):
        net.gateways[0].join(f"{n:036}", ANONYMOUS)
    late = net.new(1)
    sizes = []
    for _ in range(60):
        for payload in net.gateways[0].messages():
            sizes.append(len(payload))
            late.take(payload)
        for payload in late.messages():
            net.gateways[0].take(payload)
        net.clock.advance(0.02)

    assert max(sizes) <= MESSAGE_BYTES
    assert {late.count(f"large-{n}") for n in range(100)} == {(1000, False)}
    assert {late.count(f"{n:036}") for n in range(20_000)} == {(1, False)}
    assert not net.gateways[0].unsaid


def test_a_crowd_of_many_is_told_half_as_often() -> None:
    """Up to 128 people a change is told at the next turn; above, at most every half second, and not forgotten."""
    net = Net(1)
    gateway = net.gateways[0]
    for n in range(129):
        gateway.join(STREAM, person(f"p{n}"))
    assert [told.people for told in _decoded(gateway.messages())[0].streams] == [129]
    gateway.join(STREAM, person("late"))
    gateway.join(OTHER, person("late"))
    net.clock.advance(TURN_S)
    assert [told.stream_id for told in _decoded(gateway.messages())[0].streams] == [OTHER]
    assert gateway.unsaid
    net.clock.advance(TURN_S)
    assert [(told.stream_id, told.people) for told in _decoded(gateway.messages())[0].streams] == [(STREAM, 130)]


def test_a_change_wakes_whoever_tells_it() -> None:
    """Somebody new and somebody gone do; another tab of one who is there does not."""
    gateway = Net(1).gateways[0]
    woken = Counter[str]()
    gateway.wake = lambda: woken.update("w")
    gateway.join(STREAM, person("ada"))
    assert woken.total() == 1
    gateway.changed()
    gateway.join(STREAM, person("ada"))
    gateway.leave(STREAM, person("ada"))
    assert (woken.total(), gateway.changed()) == (1, set())
    gateway.leave(STREAM, person("ada"))
    assert (woken.total(), gateway.changed()) == (2, {STREAM})


def test_what_cannot_be_read_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Garbage, one's own messages, and more gateways than are listened to change nothing."""
    monkeypatch.setattr(presence_module, "PEERS", 2)
    net = Net(4)
    for gateway in net.gateways[1:]:
        gateway.join(STREAM, ANONYMOUS)
    net.gateways[0].take(b"\xc1")
    net.gateways[0].take(b"{}")
    net.turn(2)

    assert net.counts() <= {(2, False), (3, False)}
    assert net.gateways[0].count(STREAM) == (2, False)


class Evening:
    """People on three gateways whose messages get lost; what each gateway knows is held against the truth.

    Everything is told in parts of one stream with changes among them, is asked for at every loss, and is never told unasked.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
        monkeypatch.setattr(presence_module, "MESSAGE_STREAMS", 1)
        monkeypatch.setattr(presence_module, "REFRESH_S", 1e9)
        monkeypatch.setattr(presence_module, "ASK_S", 0.0)
        self.random = random.Random(seed)
        self.net = Net(3, exact=4)
        self.streams = ["stream-1", "stream-2", "stream-3"]
        self.inside: Counter[tuple[int, str, int]] = Counter()
        self.started = 3

    def step(self) -> None:
        """Somebody comes or goes, one gateway tells (and one other may not hear it), or dies and is replaced."""
        draw, gateway = self.random.random(), self.random.randrange(3)
        if draw < 0.3:
            stream, who = self.random.choice(self.streams), self.random.randrange(8)
            self.net.gateways[gateway].join(stream, _who(who))
            self.inside[gateway, stream, who] += 1
        elif draw < 0.6 and self.inside:
            gateway, stream, who = key = self.random.choice(sorted(self.inside))
            self.net.gateways[gateway].leave(stream, _who(who))
            self.inside -= Counter([key])
        elif draw < 0.995:
            deaf = self.random.randrange(6)
            for payload in self.net.gateways[gateway].messages():
                for number, other in enumerate(self.net.gateways):
                    if number != deaf:
                        other.take(payload)
            self.net.clock.advance(self.random.choice([0.0, 0.02, TURN_S]))
        else:
            self.net.gateways[gateway] = self.net.new(self.started)
            self.started += 1
            self.inside = Counter({key: count for key, count in self.inside.items() if key[0] != gateway})

    def settled(self) -> None:
        """After five seconds in which nothing gets lost all say the same, and the truth where they say that it is exact."""
        for gateway in self.net.gateways:
            gateway.expire()
        self.net.turn(20)
        for stream in self.streams:
            crowds = [{who for g, s, who in self.inside if (g, s) == (n, stream) and who} for n in range(3)]
            anonymous = sum(count for (_, s, who), count in self.inside.items() if s == stream and not who)
            [(count, approximate)] = self.net.counts(stream)
            assert approximate == (any(len(crowd) > 4 for crowd in crowds) and sum(map(bool, crowds)) > 1)
            if approximate:
                assert max(map(len, crowds)) <= count - anonymous <= sum(map(len, crowds))
            else:
                assert count - anonymous == len(set().union(*crowds))


def _who(number: int) -> int:
    return person(f"p{number}") if number else ANONYMOUS


@pytest.mark.parametrize("seed", range(6))
def test_an_evening_on_a_bad_network_ends_with_the_truth(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Whatever was lost in whichever order, five good seconds make all gateways agree; many times a seed."""
    evening = Evening(monkeypatch, seed)
    for _ in range(400):
        for _ in range(evening.random.randrange(60)):
            evening.step()
        evening.settled()
