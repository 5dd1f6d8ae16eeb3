"""`ovation up`: everything on one machine, from the first start to a clean end, with real processes."""

import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.backends.nats import NatsServer
from tests.listener import close_all
from tests.stopping import stop
from tests.ups import Up, alive, descendants, readyz, running
from tests.viewer import Viewer
from tests.waits import eventually

pytestmark = [pytest.mark.nats, pytest.mark.media, pytest.mark.e2e]

#: What `up` always runs.
USUAL = {"nats", "worker archive", "worker media", "gateway-0"}


async def test_one_command_and_everything_answers(tmp_path: Path) -> None:
    """Each process is told with its state and internal port; the address is printed; SIGTERM drains all of it, exit code 0."""
    async with running(tmp_path, gateways=2) as up:
        rows = await up.rows()
        family = descendants(up.pid)

        assert rows.keys() == USUAL | {"gateway-1"}
        assert {tuple(row) for row in rows.values()} == {("name", "pid", "state", "url", "ops_url", "restarts")}
        assert {"ready"} == {row["state"] for row in rows.values()}
        assert {row["pid"] for row in rows.values()} <= family.keys()
        for row in rows.values():
            assert await readyz(row["ops_url"]) == (200, {"ready": True, "missing": {}})
        assert (await readyz(up.ops_url))[0] == 200
        assert f"http://localhost:{up.ports['http_port']}" in up.text
        assert f"rtmp://localhost:{up.ports['rtmp_port']}/live" in up.text
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{rows['gateway-1']['ops_url']}/metrics")).text.startswith("# HELP ovation_")
            for row in rows.values():
                assert (await client.get(f"{row['ops_url']}/healthz")).status_code == 200
            numbers = dict(line.split() for line in (await client.get(f"{rows['nats']['ops_url']}/metrics")).text.splitlines())
            # Two gateways, two workers; the topology's logs and buckets.
            assert int(numbers["nats_server_connections"]) >= 4
            assert int(numbers["nats_jetstream_streams"]) >= 10
            stop(rows["nats"]["pid"])

            async def silent() -> bool:
                # One of its threads may still be answering.
                return (await client.get(f"{rows['nats']['ops_url']}/healthz")).status_code == 503

            await eventually(silent)
            assert await readyz(rows["nats"]["ops_url"]) == (503, {"ready": False, "missing": {"nats": "it does not answer"}})
            os.kill(rows["nats"]["pid"], signal.SIGCONT)

        up.signal(signal.SIGTERM)
        assert await up.ended() == 0
        assert alive(family) == []
        assert {"stopped"} == {row["state"] for row in (await up.rows()).values()}
        assert "Traceback" not in up.text
        for log in (up.data / "log").iterdir():
            said = [json.loads(line) for line in log.read_text().splitlines()]
            assert {"event", "level", "process", "timestamp"} <= set.intersection(*map(set, said)), log.name


async def test_what_was_said_is_there_after_a_restart(tmp_path: Path) -> None:
    """The data directory is everything: the same folder again has the stream, its comments, and tokens that still count."""
    async with running(tmp_path) as up:
        async with await up.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
            assert (await host.post(stream_id, "before the restart", "k")).status_code == 201
            up.signal(signal.SIGTERM)
            assert await up.ended() == 0
            await up.start().ready()
            page = (await host.http.get(f"/streams/{stream_id}/comments")).json()
            again = await host.post(stream_id, "before the restart", "k")

        assert [comment["text"] for comment in page["comments"]] == ["before the restart"]
        assert (again.status_code, again.json()["seq"]) == (200, page["comments"][0]["seq"])


async def test_no_child_survives_its_parent(tmp_path: Path) -> None:
    """Kill -9 of `up --demo`: NATS, gateways, workers, the demo and every ffmpeg are gone, and `status` says stopped."""
    async with running(tmp_path, "--demo") as up:

        def programs() -> list[str]:
            return sorted(descendants(up.pid).values())

        # The encoder of the demo, and the one of the lower renditions.
        await eventually(lambda: sum(name.startswith("ffmpeg") for name in programs()) >= 2)
        family = descendants(up.pid)
        assert len(family) >= len(USUAL) + 1 + 2

        up.kill()
        await eventually(lambda: alive(family) == [])
        assert {(None, "stopped")} == {(row["pid"], row["state"]) for row in (await up.rows()).values()}


@pytest.mark.parametrize("name", ["nats", "gateway-0", "worker archive", "worker media"])
async def test_what_dies_comes_back(tmp_path: Path, name: str) -> None:
    """Kill -9 of one child: it is started again, `status` counts it, nothing else restarts, and posting works as before."""
    async with running(tmp_path) as up:
        async with await up.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
            assert (await host.post(stream_id, "before")).status_code == 201
            old = (await up.rows())[name]["pid"]
            os.kill(old, signal.SIGKILL)
            await eventually(lambda: up.row(name)["restarts"] == 1)
            await eventually(lambda: up.row(name)["state"] == "ready")
            await up.ready(*USUAL)
            rows = await up.rows()

            assert rows[name]["pid"] != old
            assert {row["name"]: row["restarts"] for row in rows.values()} == {each: int(each == name) for each in USUAL}
            assert (await host.post(stream_id, "after")).status_code == 201
            page = (await host.http.get(f"/streams/{stream_id}/comments")).json()
            assert [comment["text"] for comment in page["comments"]] == ["after", "before"]


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """A drain that would take a minute is cut short; nothing survives that either."""
    async with running(tmp_path, drain_s=60) as up:
        async with await up.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
            viewers = [await Viewer(host.events(stream_id)).open() for _ in range(10)]
        family = descendants(up.pid)
        up.signal(signal.SIGTERM)
        await eventually(lambda: up.row("worker media")["state"] == "stopped")
        assert up.row("gateway-0")["state"] != "stopped"
        up.signal(signal.SIGTERM)
        assert await up.ended(5) == 1
        await eventually(lambda: alive(family) == [])
        for viewer in viewers:
            await viewer.ended()
        await close_all()


async def test_who_comes_while_it_ends_is_refused(tmp_path: Path) -> None:
    """Ctrl-C while viewers are being sent away over a minute: a newcomer is refused at once, not kept waiting for a reset."""
    async with running(tmp_path, drain_s=60) as up:
        async with await up.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
            viewers = [await Viewer(host.events(stream_id)).open() for _ in range(10)]
        up.signal(signal.SIGINT)

        def refused() -> bool:
            try:
                socket.create_connection(("127.0.0.1", up.ports["http_port"]), timeout=1).close()
            except ConnectionRefusedError:
                return True
            return False

        await eventually(refused)
        assert up.row("gateway-0")["state"] != "stopped"
        assert not all(viewer.over for viewer in viewers)
        up.signal(signal.SIGINT)
        assert await up.ended(5) == 1
        await close_all()


async def test_gateways_share_the_port(tmp_path: Path) -> None:
    """One of two gateways is killed: requests go on being answered, because the parent keeps the listening socket."""
    async with running(tmp_path, gateways=2) as up, httpx.AsyncClient(timeout=30) as client:
        os.kill(up.row("gateway-0")["pid"], signal.SIGKILL)
        answers = []

        async def back() -> bool:
            answers.append((await client.get(f"{up.url}/api/v1/streams", headers={"Connection": "close"})).status_code)
            row = up.row("gateway-0")
            return bool(row["restarts"] == 1 and row["state"] == "ready")

        await eventually(back)
        assert set(answers) == {200}


async def test_two_instances_side_by_side(tmp_path: Path) -> None:
    """Different ports and folders: both run, and neither knows what is said in the other."""
    async with running(tmp_path / "one") as one, running(tmp_path / "two") as two:
        async with await one.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
            assert (await host.post(stream_id, "only here")).status_code == 201
        async with two.client() as other:
            assert (await other.http.get("/streams")).json()["streams"] == []
            assert (await other.http.get(f"/streams/{stream_id}")).status_code == 404
        assert one.popen is not None
        assert one.popen.poll() is None


async def test_port_zero_is_a_free_one(tmp_path: Path) -> None:
    """With every port 0 the processes agree on free ones, and the printed addresses are those."""
    async with running(tmp_path, http_port=0, rtmp_port=0, nats_port=0, ops_port=0) as up:
        await eventually(lambda: "ready after" in up.text)
        urls = {name: httpx.URL(row["url"]) for name, row in (await up.rows()).items()}
        assert all(urls[name].port for name in ("nats", "gateway-0", "worker media"))
        async with httpx.AsyncClient() as client:
            started = f"{urls['gateway-0']}/api/v1"
            guest = await client.post(f"{started}/session", json={"name": "Ada"})
            headers = {"Authorization": f"Bearer {guest.json()['token']}"}
            stream = await client.post(f"{started}/streams/start", json={"title": "T", "privacy": "public"}, headers=headers)
        assert httpx.URL(stream.json()["rtmp_url"]).port == urls["worker media"].port
        assert f"watch     {urls['gateway-0']}" in up.text


async def test_a_nats_of_ones_own(own_nats_server: NatsServer, tmp_path: Path) -> None:
    """With OVATION_NATS_URL no nats-server is started, the topology is applied to the one named, and it is left running."""
    up = Up(tmp_path, nats_url=own_nats_server.url).start()
    try:
        await eventually(lambda: bool(up.row("worker media")) and "watch " in up.text, timeout=90)
        assert set(await up.rows()) == USUAL - {"nats"}
        async with await up.client().guest() as host:
            stream_id = (await host.start())["stream_id"]
            assert (await host.post(stream_id, "hello")).status_code == 201
        assert await up.run("topology", "diff") == (0, "nothing differs\n", "")
        up.signal(signal.SIGINT)
        assert await up.ended() == 0
        assert own_nats_server.alive
    finally:
        up.kill()


async def test_the_demo_is_alive_and_goes_on_with_its_stream(tmp_path: Path) -> None:
    """`up --demo` shows advancing video and guests who chat; the next one goes on with the same stream."""
    async with running(tmp_path, "--demo") as up, up.client() as viewer:
        first = await _live_stream(viewer.http)
        await eventually(lambda: _plays(viewer.http, first), timeout=60)
        await eventually(lambda: _is_said_in(viewer.http, first), timeout=60)
        up.signal(signal.SIGTERM)
        assert await up.ended() == 0
        await up.start().ready("demo")
        assert await _live_stream(viewer.http) == first


async def _live_stream(http: httpx.AsyncClient) -> str:
    found: list[str] = []

    async def listed() -> bool:
        answer = await http.get("/streams", params={"status": "live"})
        found[:] = [each["stream_id"] for each in answer.json()["streams"]]
        return bool(found)

    await eventually(listed)
    assert len(found) == 1
    return found[0]


async def _plays(http: httpx.AsyncClient, stream_id: str) -> bool:
    where: dict[str, str] = (await http.get(f"/streams/{stream_id}/watch")).json()
    if where["video"] != "live":
        return False
    root = str(http.base_url).partition("/api/")[0]
    master = await http.get(httpx.URL(root).join(where["hls_url"]))
    return master.is_success and "#EXT-X-STREAM-INF" in master.text


async def _is_said_in(http: httpx.AsyncClient, stream_id: str) -> bool:
    return bool((await http.get(f"/streams/{stream_id}/comments")).json()["comments"])


async def test_closing_its_terminal_ends_it(tmp_path: Path) -> None:
    """SIGHUP asks for a rolling restart; from a terminal that is no more it means what Ctrl-C does, and all of it drains."""
    ours, theirs = os.openpty()
    up = Up(tmp_path).start(theirs)
    os.close(theirs)
    try:
        await up.ready()
        first = up.row("gateway-0")["pid"]
        up.signal(signal.SIGHUP)
        await eventually(lambda: up.row("gateway-0")["state"] == "ready" and up.row("gateway-0")["pid"] != first)
        family = descendants(up.pid)
        os.close(ours)
        assert await up.ended() == 0
        assert alive(family) == []
        assert {"stopped"} == {row["state"] for row in up.kept_rows()}
    finally:
        up.kill()
