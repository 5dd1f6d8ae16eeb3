"""What every test can ask for, and the header that says what this run runs against."""

import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.backends import cassandra, nats, programs, s3
from tests.backends.cassandra import CqlServer
from tests.backends.nats import NatsElsewhere, NatsServer
from tests.backends.s3 import S3Elsewhere, WeedServer

if TYPE_CHECKING:
    from infra.scylla import Address

# Nothing is timed here: a machine that is busy with something else would fail an example that passes a moment later.
settings.register_profile("ovation", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ovation")


def pytest_report_header() -> list[str]:
    """The backends of this run: real ones, and which."""
    broker = nats.elsewhere()
    if broker is not None:
        what = broker.what
    elif nats.engine_answers():
        what = f"{nats.IMAGE} in a container; tests that kill it: {nats.version()}"
    else:
        what = f"{nats.version()} as a process, from the wheel"
    service = s3.elsewhere()
    if service is not None:
        objects = service.what
    elif nats.engine_answers():
        objects = f"{s3.IMAGE} in a container; tests that stop it: {s3.version()}"
    else:
        objects = f"{s3.version()} as a process, from the wheel"
    return [
        f"broker:   {what}",
        f"store:    SQLite {sqlite3.sqlite_version}; {cassandra.described()}",
        f"objects:  {objects}",
        f"ffmpeg:   {programs.described(programs.ffmpeg(), '-version')}",
        f"gstreamer: {programs.described(programs.gstreamer(), '--version', missing='none: a test of encoders will fail')}",
        f"browser:  {programs.described(programs.chromium(), '--version', missing='no Chromium: browser tests will fail')}",
        f"node:     {programs.described(programs.node(), '--version', missing='none on the PATH')}",
        f"nginx:    {programs.described(programs.nginx(), '-v', missing='none: proxy tests will fail')}",
        f"haproxy:  {programs.described(programs.haproxy(), '-v', missing='none: proxy tests will fail')}",
    ]


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer | NatsElsewhere]:
    """A broker that tests share: TEST_NATS_URL's, a container's, or a process of this run. Take only its `url`."""
    broker = nats.elsewhere()
    if broker is not None:
        yield broker
    elif nats.engine_answers():
        yield from _in_a_container()
    else:
        yield from _started(tmp_path_factory.mktemp("nats"))


@pytest.fixture
def own_nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server for this test alone, to kill, pause and start again."""
    yield from _started(tmp_path / "nats")


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WeedServer | S3Elsewhere]:
    """An S3 service that tests share, each under a prefix of its own: TEST_S3_ENDPOINT's, a container's, or a process."""
    service = s3.elsewhere()
    if service is not None:
        yield service
    elif nats.engine_answers():
        yield from _weed_in_a_container(tmp_path_factory.mktemp("s3"))
    else:
        yield from _weed(tmp_path_factory.mktemp("s3"))


@pytest.fixture
def own_s3_server(tmp_path: Path) -> Iterator[WeedServer]:
    """An S3 service for this test alone, to stop and kill."""
    yield from _weed(tmp_path / "s3")


@pytest.fixture(scope="session")
def cql_server(tmp_path_factory: pytest.TempPathFactory) -> CqlServer:
    """The CQL server that this run's tests share, each worker in a keyspace of its own; without one the test fails."""
    return cassandra.server(_of_the_run(tmp_path_factory))


@pytest.fixture(scope="session")
def keyspace(cql_server: CqlServer) -> Iterator["Address"]:
    """A keyspace with this version's tables, for this worker alone; a test empties it before it begins."""
    # The driver takes a fifth of a second, which most runs need not wait.
    from tests.contract import scylla_backend  # noqa: PLC0415

    address = scylla_backend.fresh_keyspace(cql_server)
    yield address
    if cassandra.elsewhere() is not None:
        scylla_backend.drop(address)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start the CQL server while other tests run, if any of those selected needs it."""
    if session.config.option.collectonly:
        return
    if any("cql_server" in getattr(item, "fixturenames", ()) for item in session.items):
        factory: pytest.TempPathFactory = session.config._tmp_path_factory  # type: ignore[attr-defined]  # noqa: SLF001 - where pytest keeps it
        cassandra.begin(_of_the_run(factory))


def _of_the_run(factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run share, and no other run."""
    base = factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cql"


@pytest.fixture
def chromium() -> str:
    """The path of Chromium; without one the test fails, because a browser test that did not run proves nothing."""
    found = programs.chromium()
    if found is None:
        pytest.fail("no Chromium: run ./just chromium, or name one with CHROMIUM=/path/to/it")
    return found


@pytest.fixture
def nginx() -> str:
    """The path of nginx; without one the test fails."""
    return programs.nginx() or pytest.fail("no nginx: run ./just proxies, or name one with NGINX=/path/to/it")


@pytest.fixture
def haproxy() -> str:
    """The path of HAProxy; without one the test fails."""
    return programs.haproxy() or pytest.fail("no HAProxy: run ./just proxies, or name one with HAPROXY=/path/to/it")


def _started(folder: Path) -> Iterator[NatsServer]:
    server = NatsServer(folder).start()
    try:
        yield server
    finally:
        server.kill()


def _in_a_container() -> Iterator[NatsElsewhere]:
    # Imported here: it takes a third of a second, and most machines that run the tests have no engine.
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy  # noqa: PLC0415

    container = DockerContainer(nats.IMAGE).with_command("-js").with_exposed_ports(4222)
    with container.waiting_for(LogMessageWaitStrategy("Server is ready")) as running:
        url = f"nats://{running.get_container_host_ip()}:{running.get_exposed_port(4222)}"
        yield NatsElsewhere(url, nats.IMAGE)


def _weed(folder: Path) -> Iterator[WeedServer]:
    server = WeedServer(folder).start()
    try:
        yield server
    finally:
        server.kill()


def _weed_in_a_container(folder: Path) -> Iterator[S3Elsewhere]:
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - as above

    s3.identities(folder / "identities.json")
    container = (
        DockerContainer(s3.IMAGE)
        .with_command("server -s3 -s3.config=/etc/identities.json -master.peers=none -master.telemetry=false")
        .with_volume_mapping(str(folder / "identities.json"), "/etc/identities.json")
        .with_exposed_ports(8333)
    )
    with container as running:
        endpoint = f"http://{running.get_container_host_ip()}:{running.get_exposed_port(8333)}"
        s3.make_bucket(endpoint, s3.BUCKET)
        yield S3Elsewhere(endpoint, s3.IMAGE)
