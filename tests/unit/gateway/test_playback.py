"""Playback URLs: whose they are, until when, and what is no token at all."""

import msgspec
import pytest

from gateway.auth import Principal
from gateway.playback import Holder, Playback, split, unsigned
from infra.clock import HandClock
from infra.environment import load
from infra.errors import BadSettings
from schemas import subjects

STREAM, OTHER = "0190aaaa-0000-7000-8000-000000000001", "0190aaaa-0000-7000-8000-000000000002"
BEA = Principal(id="bea@example.org", name="Bea", expires_at=2**40)
MO = msgspec.structs.replace(BEA, id="mo", roles=frozenset({"moderator"}))


def _playback(clock: HandClock, **settings: str) -> Playback:
    return Playback(load({"OVATION_JWT_SECRET": "s" * 32, **settings}), clock)


def test_a_token_says_who_and_until_when() -> None:
    """The person as grants name them, for 12 h, with a moderator's right for 1 h, or as long as the credential."""
    clock = HandClock()
    playback, now_s = _playback(clock), clock.now_ms() // 1000
    for who, moderates, hours in ((BEA, False, 12), (MO, True, 1)):
        token, ends = playback.token(STREAM, who)
        assert ends == now_s + hours * 3600
        for _ in range(2):
            assert playback.holder(STREAM, token) == Holder(subjects.party(who.id), moderates, ends)
    short = msgspec.structs.replace(BEA, expires_at=now_s + 60)
    token, ends = playback.token(STREAM, short)
    assert ends == now_s + 60
    assert playback.holder(STREAM, token) is not None
    clock.advance(60)
    assert playback.holder(STREAM, token) is None


def test_a_token_that_was_touched_is_none() -> None:
    """Every character counts, the last one too, and so does the stream."""
    playback = _playback(HandClock())
    token, _ = playback.token(STREAM, BEA)
    assert playback.holder(OTHER, token) is None
    for place in range(len(token)):
        for other in "0aAvm_.~":
            if other != token[place]:
                assert playback.holder(STREAM, token[:place] + other + token[place + 1 :]) is None
    for none in ("", "~", "~.", token[:-1], f"{token}A", f"{token}=", token.replace("~", "~0"), token + "\n", "~" * 5000):
        assert playback.holder(STREAM, none) is None
    # What has been refused is not remembered in the place of what holds.
    assert playback.holder(STREAM, token) is not None


def test_secrets_follow_one_another() -> None:
    """The first signs, all are accepted; without any, the secret of tokens is where the key comes from, and is not the key."""
    clock = HandClock()
    old, new = "o" * 32, "n" * 32
    by_old, by_both, by_new = (_playback(clock, OVATION_PLAYBACK_SECRETS=s) for s in (old, f"{new},{old}", new))
    token, _ = by_old.token(STREAM, BEA)
    assert by_both.holder(STREAM, token) is not None
    assert by_new.holder(STREAM, token) is None
    assert by_new.holder(STREAM, by_both.token(STREAM, BEA)[0]) is not None
    assert _playback(clock).token(STREAM, BEA) != _playback(clock, OVATION_PLAYBACK_SECRETS="s" * 32).token(STREAM, BEA)
    with pytest.raises(BadSettings, match="OVATION_PLAYBACK_SECRETS"):
        _playback(clock, OVATION_PLAYBACK_SECRETS=f"{new},short")


def test_what_is_logged_has_no_token() -> None:
    """Neither a token nor what looks like the beginning of one."""
    token, _ = _playback(HandClock()).token(STREAM, BEA)
    assert split(f"{token}/720p/index.m3u8") == (token, "720p/index.m3u8")
    assert split("720p/index.m3u8") == (None, "720p/index.m3u8")
    assert unsigned(f"/hls/{STREAM}/{token}/720p/index.m3u8") == f"/hls/{STREAM}/~/720p/index.m3u8"
    assert unsigned(f"/hls/{STREAM}/master.m3u8") == f"/hls/{STREAM}/master.m3u8"
