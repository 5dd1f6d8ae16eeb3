"""What benchmarks read from other programs."""

import json

import pytest

from bench import corpus
from bench.cpu import parse_perf, parse_socket_memory
from bench.report import BEGIN, END, between
from bench.servers import parse_metrics
from schemas.codec import decode_item
from schemas.items import Comment


def test_metrics_keep_their_labels() -> None:
    """Prometheus' text format, comments left out."""
    text = '# HELP a x\n# TYPE a counter\na_total{source="ring"} 3.0\nb 1e+06\n'

    assert {'a_total{source="ring"}': 3.0, "b": 1e6} == parse_metrics(text)


def test_socket_memory_sums_what_is_received_queued_and_set_aside() -> None:
    """What is on its way is part of what is queued, and limits are no memory."""
    line = "0 0 127.0.0.1:80 127.0.0.1:5000 skmem:(r100,rb131072,t7,tb2626560,f20,w3000,o0,bl0,d0)"

    assert (2, 6240) == parse_socket_memory(f"{line}\n{line}\n")


def test_write_calls_are_the_sum_of_all_events() -> None:
    """As `perf stat -x,` prints them."""
    assert parse_perf("12,,syscalls:sys_enter_sendto,1,100.00,,\n30,,syscalls:sys_enter_write,1,100.00,,\n") == 42


@pytest.mark.parametrize("printed", ["", "<not counted>,,syscalls:sys_enter_write,0,0.00,,\n"])
def test_calls_that_were_not_counted_are_no_zero(printed: str) -> None:
    """A kernel without trace points says nothing about write calls."""
    assert parse_perf(printed) is None


def test_what_is_said_is_what_the_log_holds() -> None:
    """A template with its slots filled in is a comment, in the corpus too, and the same seed says the same."""
    for template in corpus.plain() + corpus.chat(50):
        filled = template.replace(corpus.ID, "1" * 19).replace(corpus.CREATED, "2026-11-21T00:00:00.000Z")
        item = decode_item(filled.encode())
        assert isinstance(item, Comment)
        assert item.text.startswith(corpus.PREFIX)
    assert corpus.chat(50) == corpus.chat(50)
    assert all(json.loads(body)["text"].startswith(corpus.PREFIX) for body in corpus.post(10))


def test_a_report_replaces_what_is_between_the_markers_and_nothing_else() -> None:
    """Twice as well as once."""
    page = f"above {BEGIN} old {END} below"

    assert between(between(page, "first"), "second") == f"above {BEGIN}\n\nsecond\n\n{END} below"


def test_a_page_without_markers_is_not_written_over() -> None:
    """Somebody took them out: the page is theirs."""
    with pytest.raises(ValueError, match="no "):
        between("page", "body")
