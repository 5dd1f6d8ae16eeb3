"""Logs: one JSON object per line, with what the request carries, and never with a credential."""

import json
import subprocess
import sys

import jwt
import pytest

from infra.telemetry.logs import redact

STREAM = "018bcfe5-6800-7bb6-bc13-d949c5118ce2"
TOKEN = jwt.encode({"sub": "ada"}, "s" * 32, algorithm="HS256")
#: In the form of `schemas.records.new_stream_key`; fixed, since it is in the tests' names, which all workers have to agree on.
KEY = f"{STREAM}_IQWDjtKj3p4dDHOZRt_zDk9M9u2fQHR5aYuwyk5RK-Y"


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        (f"Bearer {TOKEN}", TOKEN),
        (f"/events?ticket={TOKEN}&backfill=5", TOKEN),
        ("/events?ticket=opaque-thing&backfill=5", "opaque-thing"),
        (f"rtmp://localhost/live/{KEY}", KEY.partition("_")[2]),
        (f"{KEY}?x=1", KEY.partition("_")[2]),
    ],
)
def test_credentials_are_cut_out(said: str, secret: str) -> None:
    """Tokens, tickets and stream keys, wherever they stand and however they are wrapped."""
    for wrapped in (said, said.encode(), {"a": [said]}, (said,)):
        assert secret not in str(redact(wrapped))
        assert "[redacted]" in str(redact(wrapped))


def test_what_is_no_credential_stays() -> None:
    """Ids, addresses and numbers are what logs are read for."""
    for said in (STREAM, f"/api/v1/streams/{STREAM}/events?backfill=5", "eyJ", 12, None, True):
        assert redact(said) == said


def lines(*statements: str, form: str = "json") -> list[str]:
    """What a process that runs *statements* writes to stderr."""
    program = [
        "import structlog",
        "from infra.telemetry import logs",
        f"logs.configure(level='info', form='{form}', process='gateway-0')",
        "log = logs.get('here')",
        *statements,
    ]
    ended = subprocess.run([sys.executable, "-c", "\n".join(program)], capture_output=True, text=True, check=True)
    return ended.stderr.splitlines()


def test_a_line_is_an_object_with_its_trace_id() -> None:
    """Time, level, process, source, and what the context carries; below the level nothing is written."""
    (line,) = lines("structlog.contextvars.bind_contextvars(trace_id='abc')", "log.debug('no')", "log.info('yes', n=1)")
    said = json.loads(line)

    assert said.pop("timestamp").endswith("Z")
    assert said == {"event": "yes", "n": 1, "level": "info", "process": "gateway-0", "source": "here", "trace_id": "abc"}


def test_an_exception_is_one_line_without_its_secrets() -> None:
    """A traceback stays inside its line, and what it quotes is redacted as well."""
    (line,) = lines("try:", f"    raise ValueError({TOKEN!r})", "except ValueError:", "    log.exception('crashed')")

    assert "ValueError" in json.loads(line)["exception"]
    assert TOKEN not in line


def test_an_exception_for_people_shows_no_secrets_either() -> None:
    """On a terminal a traceback has lines of its own: none of them quotes a credential, or a local variable that holds one."""
    failing = ["def failing(secret='hunter-two'):", f"    raise ValueError({TOKEN!r})"]
    said = lines(*failing, "try:", "    failing()", "except ValueError:", "    log.exception('crashed')", form="text")

    assert any("ValueError: [redacted]" in line for line in said)
    assert not [line for line in said if TOKEN in line or "hunter-two" in line]


def test_other_libraries_speak_the_same() -> None:
    """Their warnings come as our lines; their chatter does not come."""
    (line,) = lines("import logging", "logging.getLogger('x').warning('odd: %s', 1)", "logging.getLogger('x').info('chatter')")

    assert (json.loads(line)["event"], json.loads(line)["source"]) == ("odd: 1", "x")


def test_people_get_their_own_form() -> None:
    """No JSON, and no colours off a terminal."""
    (line,) = lines("log.info('hello', n=1)", form="text")

    assert "hello" in line
    assert "n=1" in line
    assert not line.startswith("{")
    assert "\x1b" not in line
