"""The gateway between viewers and a media worker: asked once, passed on as it was said, and patient."""

import asyncio
from pathlib import Path

import httpx
import pytest

from tests.hls.scripted import scripted
from tests.hls.stage import NEXT, PART, PLAYLIST, Stage, new_stream
from tests.waits import eventually

pytestmark = pytest.mark.nats


async def test_a_worker_is_asked_once_however_many_wait(s: Stage) -> None:
    """A hundred viewers wait for a playlist and a part that are not there yet: one question each, the same answer for all."""
    for path in (NEXT, "source/part-10.m4s"):
        s.worker.holds[path] = asyncio.Event()
    async with httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None)) as crowd:
        asked = [crowd.get(s.url(path)) for path in s.worker.holds for _ in range(100)]
        waiting = asyncio.gather(*asked)
        joined = await s.metric("ovation_hls_joined_total")

        async def all_wait() -> bool:
            return await s.metric("ovation_hls_joined_total") - joined >= 198

        await eventually(all_wait)
        s.worker.playlist(NEXT, PLAYLIST + b"#new\n", keep_s=6)
        s.worker.piece("source/part-10.m4s", PART)
        for hold in s.worker.holds.values():
            hold.set()
        answers = await waiting
    assert {(a.status_code, a.content) for a in answers} == {(200, PLAYLIST + b"#new\n"), (200, PART)}
    assert (s.worker.asked[NEXT], s.worker.asked["source/part-10.m4s"]) == (1, 1)

    async def is_remembered() -> bool:
        before = s.worker.asked[NEXT]
        assert {(await s.get(NEXT)).content for _ in range(2)} == {PLAYLIST + b"#new\n"}
        return s.worker.asked[NEXT] - before < 2

    # Who comes a little later is answered from memory.
    await eventually(is_remembered)


async def test_who_asks_again_hears_the_newest(s: Stage) -> None:
    """What a blocked reload was told is soon forgotten: video.js asks twice for what it has, and would stay there."""
    s.worker.playlist(NEXT, PLAYLIST, keep_s=6)
    assert (await s.get(NEXT)).content == PLAYLIST
    s.worker.playlist(NEXT, PLAYLIST + b"#two parts more\n", keep_s=6)

    async def is_newer() -> bool:
        return (await s.get(NEXT)).content == PLAYLIST + b"#two parts more\n"

    await eventually(is_newer, timeout=3)


async def test_what_never_changes_outlives_its_worker(s: Stage) -> None:
    """A part comes from memory when the worker is dead; one that is in no memory is 503, which players ask for again."""
    assert (await s.get("source/part-9.m4s")).content == PART
    await s.worker.stop()
    again = await s.get("source/part-9.m4s")
    assert (again.status_code, again.content) == (200, PART)
    assert again.headers["cache-control"] == "public, max-age=31536000, immutable"
    missing = await s.get("source/part-8.m4s")
    assert (missing.status_code, missing.headers["retry-after"], missing.headers["cache-control"]) == (503, "1", "no-store")


async def test_a_part_that_is_not_there_yet_is_asked_for_again(s: Stage) -> None:
    """A 404 is kept by nobody: the same address is answered as soon as the worker has it."""
    early = await s.get("source/part-11.m4s")
    assert (early.status_code, early.headers["cache-control"]) == (404, "no-store")
    s.worker.piece("source/part-11.m4s", PART)
    assert (await s.get("source/part-11.m4s")).content == PART


async def test_a_plain_reload_is_never_older_than_what_has_passed(s: Stage) -> None:
    """A short memory for plain reloads ends when a newer playlist goes by."""
    assert (await s.get("source/index.m3u8")).content == PLAYLIST
    s.worker.playlist(NEXT, PLAYLIST + b"#newer\n", keep_s=6)
    s.worker.playlist("source/index.m3u8", PLAYLIST + b"#newer\n")
    await s.get(NEXT)
    assert (await s.get("source/index.m3u8")).content == PLAYLIST + b"#newer\n"


async def test_the_last_playlist_stays_while_nobody_owns_the_stream(s: Stage) -> None:
    """A dead worker's playlists stay; a blocked reload goes on with its successor; what the dead one knew is forgotten."""
    await s.get("source/index.m3u8")
    await s.worker.stop()

    async def frozen() -> bool:
        # The short memory of plain reloads is asked first.
        answer = await s.get("source/index.m3u8")
        assert (answer.status_code, answer.content, answer.headers["cache-control"]) == (200, PLAYLIST, "no-cache")
        return await s.metric('ovation_hls_fetches_total{source="frozen"}') >= 1

    await eventually(frozen)
    assert (await s.get("master.m3u8")).status_code == 200
    waiting = asyncio.create_task(s.get(NEXT))
    async with scripted(s.stream_id, "two") as successor:
        successor.playlist(NEXT, b"#EXTM3U\n#of the successor\n", keep_s=6)
        await successor.own(s.b, 2)
        assert (await waiting).content == b"#EXTM3U\n#of the successor\n"


async def test_a_blocked_reload_ends_with_the_last_playlist(s: Stage) -> None:
    """Nothing comes and nobody owns it: after some seconds the last playlist again, never an error."""
    await s.get("source/index.m3u8")
    await s.worker.stop()
    began = asyncio.get_running_loop().time()
    answer = await s.get(NEXT)
    assert (answer.status_code, answer.content) == (200, PLAYLIST)
    assert 4 < asyncio.get_running_loop().time() - began < 18


async def test_a_worker_that_gives_up_waiting_is_asked_for_what_it_has(s: Stage) -> None:
    """RFC 8216bis has it answer 503 after three target durations; the player gets the newest playlist, and stays."""
    await s.get("source/index.m3u8")
    s.worker.says[NEXT] = 503, "no-store", b""
    s.worker.playlist("source/index.m3u8", PLAYLIST + b"#with one part more\n")
    answer = await s.get(NEXT)
    assert (answer.status_code, answer.content) == (200, PLAYLIST + b"#with one part more\n")
    assert answer.headers["cache-control"] == "no-cache"


async def test_players_that_skip_leave_a_whole_playlist_behind(s: Stage) -> None:
    """Delta updates alone are asked for; what stays when the worker dies has everything."""
    for query in (NEXT, f"{NEXT}&_HLS_skip=YES"):
        s.worker.playlist(query, PLAYLIST + query.encode(), keep_s=6)
    assert (await s.get(f"{NEXT}&_HLS_skip=YES")).content.endswith(b"skip=YES")
    await eventually(lambda: s.worker.asked[NEXT] == 1)
    await s.worker.stop()

    async def has_everything() -> bool:
        return (await s.get("source/index.m3u8")).content == PLAYLIST + NEXT.encode()

    await eventually(has_everything)


async def test_a_worker_that_lost_the_stream_is_not_believed(s: Stage) -> None:
    """It was stopped while it was asked; its successor answers, and what it says when it wakes goes to nobody."""
    await s.get("source/index.m3u8")
    s.worker.holds[NEXT] = asyncio.Event()
    waiting = asyncio.create_task(s.get(NEXT))
    await eventually(lambda: s.worker.asked[NEXT] == 1)
    async with scripted(s.stream_id, "two") as successor:
        successor.playlist(NEXT, b"#EXTM3U\n#new\n", keep_s=6)
        await successor.own(s.b, 2)
        # Long before anybody's patience ends.
        await eventually(lambda: successor.asked[NEXT] == 1)
        s.worker.playlist(NEXT, b"#EXTM3U\n#old\n", keep_s=6)
        s.worker.holds[NEXT].set()
        assert (await waiting).content == b"#EXTM3U\n#new\n"
        assert (await s.get(NEXT)).content == b"#EXTM3U\n#new\n"


async def test_a_stream_that_has_ended_is_in_its_files(s: Stage, tmp_path: Path) -> None:
    """Its playlists and segments come from the media folder."""
    ended = await new_stream(s.b, status="ended")
    folder = tmp_path / "media" / ended / "source"
    folder.mkdir(parents=True)
    (folder / "index.m3u8").write_bytes(PLAYLIST + b"#EXT-X-ENDLIST\n")
    (folder / "segment-1.m4s").write_bytes(PART)
    base = f"{s.c.url(0)}/hls/{ended}/source"

    async def there() -> bool:
        return (await s.http.get(f"{base}/index.m3u8")).content == PLAYLIST + b"#EXT-X-ENDLIST\n"

    await eventually(there)
    assert (await s.http.get(f"{base}/segment-1.m4s")).content == PART
    assert (await s.http.get(f"{base}/segment-2.m4s")).status_code == 404
