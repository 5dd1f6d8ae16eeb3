"""What of the driver's words comes into our log while a node is away."""

import logging

from infra.scylla.notices import AGAIN_S, SENTENCES, OnceAMinute


def said(sentence: str, *values: object) -> logging.LogRecord:
    """One line of the driver's, with a traceback."""
    error = (ValueError, ValueError("x"), None)
    return logging.LogRecord("cassandra.pool", logging.WARNING, __file__, 1, sentence, values, error)


def test_a_sentence_is_told_once_a_minute() -> None:
    """Whatever its values, without a traceback; then again, with how often it was said meanwhile."""
    now = [100.0]
    words = OnceAMinute(lambda: now[0])
    first = said("reconnecting to %s", "a")
    assert words.filter(first)
    assert (first.getMessage(), first.exc_info) == ("reconnecting to a", None)
    assert [words.filter(said("reconnecting to %s", name)) for name in "bcd"] == [False] * 3
    assert words.filter(said("heartbeat of %s failed", "a"))
    now[0] += AGAIN_S
    again = said("reconnecting to %s", "e")
    assert words.filter(again)
    assert again.getMessage() == "reconnecting to e (and 3 times since)"
    assert not words.filter(said("reconnecting to %s", "f"))


def test_what_is_remembered_is_bounded() -> None:
    """A driver that put its values into its sentences would not fill the memory."""
    words = OnceAMinute(lambda: 0.0)
    assert all(words.filter(said(f"sentence {number}")) for number in range(3 * SENTENCES))
    assert len(words._said) <= SENTENCES  # noqa: SLF001 - what is bounded
