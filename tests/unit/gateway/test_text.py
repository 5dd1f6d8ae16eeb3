"""What a text may be: the contract's rules, and that a text once accepted stays as it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import text
from gateway.problems import Problem


def _normal(raw: str) -> str:
    return text.normalised(raw, field="text", longest=text.MAX_COMMENT)


@pytest.mark.parametrize(
    ("raw", "kept"),
    [
        ("  hello \n", "hello"),
        ("one\r\ntwo\nthree\u2028four", "one two three four"),
        ("e\u0301", "\u00e9"),
        ("a\u202eb\u2066c\u200bd\ufeffe", "abcde"),
        ("a\u206ab\u206fc\ufff9d", "abcd"),
        ("👩\u200d🚀 up", "👩\u200d🚀 up"),
        ("ba\u200dd wo\u200crd", "bad word"),
        ("e\u200d\u0301", "\u00e9"),
        (
            "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f642\u200d\u2194\ufe0f",
            "\U0001f3f3\ufe0f\u200d\U0001f308 \U0001f642\u200d\u2194\ufe0f",
        ),
        ("a\u200d", "a"),
        ("\u200dab\u200d\u200d c", "ab c"),
        ("❤\ufe0f", "❤\ufe0f"),
    ],
)
def test_rules(raw: str, kept: str) -> None:
    """Trimmed, NFC, line breaks to spaces, invisible and bidirectional controls out, joiners kept between emoji."""
    assert kept == _normal(raw)


@pytest.mark.parametrize(
    "raw", ["", "   ", "\u200b", "bell\u0007", "tab\there", "nul\x00", "esc\x1b[31m", "\ud800", "x" * 501, "\u200d"]
)
def test_refused(raw: str) -> None:
    """Nothing left, other control characters, lone surrogates, too long: refused, naming the field."""
    with pytest.raises(Problem) as refused:
        _normal(raw)

    assert ("VALIDATION", "text") == (refused.value.code, refused.value.field)


def test_length_is_in_code_points() -> None:
    """500 emoji are 500, however many bytes."""
    assert 500 == len(_normal("🎉" * 500))


@given(st.text(max_size=60))
def test_a_text_that_was_accepted_stays_as_it_is(raw: str) -> None:
    """Normalising twice is normalising once: a retry compares equal to what was stored."""
    try:
        once = _normal(raw)
    except Problem:
        return

    assert once == _normal(once)


@pytest.mark.parametrize(
    ("said", "banned", "found"),
    [
        ("this is SPAM!", ["spam"], "spam"),
        ("ｓｐａｍ", ["spam"], "spam"),  # noqa: RUF001 - the very characters that are meant
        ("s\u0301pam", ["spam"], "spam"),
        ("buy cheap  pills now", ["cheap pills"], "cheap pills"),
        ("spammer", ["spam"], None),
        ("Scunthorpe", ["cunt"], None),
        ("anything", [], None),
        ("dots...", ["..."], None),
    ],
)
def test_banned_words_are_whole_words_in_any_dress(said: str, banned: list[str], found: str | None) -> None:
    """Case, width and marks are folded away; parts of other words are not words."""
    assert found == text.banned_word(said, banned)
