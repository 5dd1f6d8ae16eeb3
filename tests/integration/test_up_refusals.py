"""What `ovation` refuses before it starts anything: one line that names the variable and the next step, and exit code 2."""

import os
import re
import signal
import socket
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.ups import Up, alive, descendants, run, running
from tests.waits import eventually

VARIABLES = ("http_port", "rtmp_port", "nats_port", "ops_port")


async def refused(up: Up) -> str:
    """The one line that `ovation up` ends with."""
    code, out, errors = await up.run("up", *up.arguments)

    assert (code, out) == (2, "")
    assert errors.count("\n") == 1, errors
    assert errors.startswith("ovation: ")
    assert up.kept_rows() == []
    return errors


@pytest.mark.parametrize("name", VARIABLES)
async def test_a_taken_port(tmp_path: Path, name: str) -> None:
    """The port, its variable and the process that holds it."""
    up = Up(tmp_path)
    with socket.create_server(("127.0.0.1", up.ports[name])):
        said = await refused(up)

    assert f"OVATION_{name.upper()}={up.ports[name]}" in said
    assert "is taken by " in said
    assert f"(pid {os.getpid()})" in said


async def test_one_port_for_two(tmp_path: Path) -> None:
    """Said with both names, before one of them waits for the other for ever."""
    up = Up(tmp_path)
    up.settings["nats_port"] = up.ports["ops_port"]
    said = await refused(up)

    assert f"OVATION_OPS_PORT and OVATION_NATS_PORT are both {up.ports['ops_port']}" in said


async def test_an_address_of_another_machine(tmp_path: Path) -> None:
    """An address that is not ours is no taken port; for RTMP one of several may be missing, as IPv6 often is."""
    assert "OVATION_HTTP_HOST: 192.0.2.1" in (said := await refused(Up(tmp_path, http_host="192.0.2.1")))
    assert "taken" not in said
    for nonsense in ("300.1.2.3", "nowhere.invalid"):
        assert f"OVATION_HTTP_HOST: {nonsense} is no address" in await refused(Up(tmp_path, http_host=nonsense))
        assert f"OVATION_OPS_HOST: {nonsense} is no address" in await refused(Up(tmp_path, ops_host=nonsense))
    assert "OVATION_RTMP_HOST: 192.0.2.1" in await refused(Up(tmp_path, rtmp_host="192.0.2.1"))
    async with running(tmp_path, rtmp_host="2001:db8::1,127.0.0.1") as up:
        with socket.create_connection(("127.0.0.1", up.ports["rtmp_port"]), 5):
            pass


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("http_prot", "8080", "OVATION_HTTP_PROT is no setting; docs/settings.md lists all of them (did you mean"),
        ("http_port", "eighty", "OVATION_HTTP_PORT='eighty'"),
        ("http_port", "65536", "OVATION_HTTP_PORT='65536'"),
        ("gateways", "0", "OVATION_GATEWAYS='0'"),
        ("limit_user", "many", "OVATION_LIMIT_USER='many': expected count/seconds"),
        ("limit_user_stream", "0/30", "OVATION_LIMIT_USER_STREAM='0/30'"),
        ("guests", "perhaps", "OVATION_GUESTS='perhaps'"),
        ("replicas", "2", "OVATION_REPLICAS='2'"),
        ("drain_s", "-1", "OVATION_DRAIN_S='-1'"),
        (
            "store_url",
            "redis://here",
            "OVATION_STORE_URL='redis://here': expected sqlite:///path or scylla://host1,host2/keyspace",
        ),
        ("media_url", "ftp://here", "OVATION_MEDIA_URL='ftp://here': expected file:///path or s3://bucket/prefix"),
        ("media_url", "file:///proc/ovation", "OVATION_MEDIA_URL: /proc/ovation cannot be used"),
        ("store_url", "sqlite:////proc/ovation/o.sqlite", "OVATION_STORE_URL: /proc/ovation cannot be used"),
        ("media_url", "s3://Bad_Bucket", "OVATION_MEDIA_URL: expected s3://bucket/prefix"),
        ("s3_addressing", "sideways", "OVATION_S3_ADDRESSING='sideways'"),
        ("jwt_secret", "short", "OVATION_JWT_SECRET"),
        ("playback_secrets", "short", "OVATION_PLAYBACK_SECRETS: each must be at least 32 bytes"),
        ("jwt_public_key_file", "/nowhere.pem", "OVATION_JWT_PUBLIC_KEY_FILE"),
        ("rtmps_certificate_file", "/nowhere.pem", "OVATION_RTMPS_CERTIFICATE_FILE='/nowhere.pem'"),
        ("rtmps_key_file", "/nowhere.pem", "set OVATION_RTMPS_CERTIFICATE_FILE"),
        ("ffmpeg", "/nowhere/ffmpeg", "OVATION_FFMPEG='/nowhere/ffmpeg': there is no such program"),
    ],
)
async def test_a_bad_setting(tmp_path: Path, name: str, value: str, said: str) -> None:
    """Unknown names and bad values stop the start before any process does, and are named."""
    assert said in await refused(Up(tmp_path, **{name: value}))


async def test_a_folder_of_a_newer_version(tmp_path: Path) -> None:
    """Its format is told, and what to do; the folder is left as it was."""
    up = Up(tmp_path)
    up.data.mkdir()
    (up.data / "format").write_text("99\n")
    said = await refused(up)

    assert f"{up.data} has format '99'" in said
    assert "run the version that made it" in said
    assert (up.data / "format").read_text() == "99\n"


async def test_a_folder_that_is_used(tmp_path: Path) -> None:
    """Two `up` on one folder: the second names the first one's pid; the first goes on, and a dead one's lock is free."""
    async with running(tmp_path) as first:
        second = {name: free_port() for name in VARIABLES}
        code, out, errors = await first.run("up", **second)

        assert (code, out) == (2, "")
        assert f"OVATION_DATA_DIR={first.data}" in errors
        assert f"(pid {first.pid})" in errors
        assert {"ready"} == {row["state"] for row in (await first.rows()).values()}
        family = descendants(first.pid)
        first.kill()
        await eventually(lambda: alive(family) == [])
        await first.start().ready()


@pytest.mark.parametrize("kind", ["a file", "not writable"])
async def test_a_folder_that_cannot_be(tmp_path: Path, kind: str) -> None:
    """A path that is no folder, or one where nobody may write."""
    up = Up(tmp_path, data_dir="/proc/ovation" if kind == "not writable" else tmp_path / "file")
    (tmp_path / "file").write_text("here first")

    assert re.search(r"OVATION_DATA_DIR=\S+: .+; choose a folder that can be written", await refused(up))


async def test_the_secret_is_its_owners(tmp_path: Path) -> None:
    """The secret, the store and the log can be read by their owner only; `token` signs with the secret."""
    async with running(tmp_path) as up:
        assert (up.data / "secret").stat().st_mode & 0o777 == 0o600
        for folder in ("store", "nats"):
            assert (up.data / folder).stat().st_mode & 0o777 == 0o700
        code, token, _ = await up.run("token", "--sub", "ada", "--name", "Ada", "--roles", "moderator")
        assert code == 0
        async with up.client() as client:
            client.http.headers["Authorization"] = f"Bearer {token.strip()}"
            started = await client.start()
            posted = (await client.post(started["stream_id"], "hello")).json()
            assert (posted["user"]["name"], posted["user_id"]) == ("Ada", "ada")
        up.signal(signal.SIGTERM)
        await up.ended()
        for log in (up.data / "log").iterdir():
            assert token.strip() not in log.read_text()
            assert started["stream_key"] not in log.read_text()


@pytest.mark.parametrize("name", ["moderation", "aggregation", "notify", "dancing"])
async def test_workers_this_version_has_not(name: str) -> None:
    """Those of the architecture that are not here yet are told from those that never were."""
    code, _, errors = await run("worker", name)

    why = "is no worker" if name == "dancing" else "is not in this version"
    assert code == 2
    assert f"worker {name} {why}; there are: archive, media" in errors


@pytest.mark.parametrize(
    ("worker", "name", "value"),
    [("archive", "store_url", "redis://here"), ("media", "media_url", "ftp://here"), ("media", "rtmp_port", "")],
)
async def test_a_worker_says_so_before_it_waits_for_a_broker(tmp_path: Path, worker: str, name: str, value: str) -> None:
    """Started by itself where no broker answers: a bad value or a taken port (no value here) ends it at once, and is named."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wrong = {name: value or taken.getsockname()[1]}
        code, _, errors = await run("worker", worker, data_dir=tmp_path, nats_port=free_port(), ops_port=0, **wrong)

    assert code == 2
    assert f"ovation: OVATION_{name.upper()}=" in errors


async def test_doctor_says_what_is_wrong(tmp_path: Path) -> None:
    """Everything in its place ends with 0; a taken port and a missing ffmpeg are each named with the step to take."""
    up = Up(tmp_path)
    _, well, _ = await up.run("doctor")
    with socket.create_server(("127.0.0.1", up.ports["http_port"])):
        code, ill, _ = await up.run("doctor", ffmpeg="/nowhere/ffmpeg")

    assert f"ok       port {up.ports['http_port']} (OVATION_HTTP_PORT)" in well
    assert "ok       ffmpeg" in well
    assert code == 1
    assert f"missing  port {up.ports['http_port']} (OVATION_HTTP_PORT)" in ill
    assert "missing  ffmpeg: " in ill
    assert "set OVATION_FFMPEG" in ill


async def test_doctor_knows_its_own(tmp_path: Path) -> None:
    """Ports that an `up` of the same data directory holds are in good order; for another directory they are taken."""
    async with running(tmp_path) as up:
        code, well, _ = await up.run("doctor")
        _, ill, _ = await up.run("doctor", data_dir=tmp_path / "other")

    for name in VARIABLES:
        assert f"ok       port {up.ports[name]} (OVATION_{name.upper()}), which `ovation up`" in well
        assert f"missing  port {up.ports[name]} (OVATION_{name.upper()})" in ill
    assert "missing  port" not in well
    assert code == ("missing" in well)


async def test_help_is_quick_and_has_examples() -> None:
    """Every command explains itself with an example."""
    for command in (
        [],
        ["topology"],
        ["up"],
        ["gateway"],
        ["worker"],
        ["status"],
        ["token"],
        ["migrate"],
        ["doctor"],
        ["topology", "diff"],
    ):
        code, out, _ = await run(*command, "--help")

        assert code == 0
        assert "Example: " in out.replace("\n", " ")
    assert "--ready-fd" not in (await run("gateway", "--help"))[1]


async def test_status_of_nothing(tmp_path: Path) -> None:
    """Where nothing ever ran there is an empty list, and a hint for people."""
    up = Up(tmp_path)

    assert await up.rows() == {}
    assert "start it with: ovation up" in (await up.run("status"))[1]
