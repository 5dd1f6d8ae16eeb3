"""The `ovation` command. Heavy imports stay inside the commands: `--help` answers at once."""

import asyncio
import json
import sys
from typing import Annotated

import typer

from infra import environment
from infra.errors import BadSettings, OvationError, StoreTooNew
from infra.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The audience of a live video: comments, reactions and presence around RTMP in, HLS out."
    "\n\nExample: ovation up --demo",
)
topology_app = typer.Typer(
    no_args_is_help=True,
    help="The logs, buckets and consumers of nats/, compared and applied.\n\nExample: ovation topology diff",
)
app.add_typer(topology_app, name="topology")

ReadyFd = Annotated[int | None, typer.Option("--ready-fd", hidden=True, help="Where states are told to the parent.")]
ListenFd = Annotated[int | None, typer.Option("--listen-fd", hidden=True, help="A listening socket of the parent's.")]
NOT_HERE = {"moderation", "aggregation", "notify"}


def main() -> None:
    """The entry point: what must not start ends with 2 and one line, everything else expected with 1."""
    try:
        app()
    except (BadSettings, StoreTooNew) as error:
        sys.stderr.write(f"ovation: {error}\n")
        sys.exit(2)
    except OvationError as error:
        sys.stderr.write(f"ovation: {error}\n")
        sys.exit(1)


@app.command()
def up(
    demo: Annotated[bool, typer.Option("--demo", help="Also broadcast a test picture and have guests chat.")] = False,
    verbose: Annotated[bool, typer.Option("-v", "--verbose", help="Show the logs of all processes.")] = False,
) -> None:
    """Run everything on this machine: NATS, gateways, archive and media.

    Example: ovation up --demo
    """
    from ovation import up as command  # noqa: PLC0415 - heavy

    sys.exit(command.run(environment.load(), demo=demo, verbose=verbose))


@app.command()
def gateway(ready_fd: ReadyFd = None, listen_fd: ListenFd = None) -> None:
    """Run one gateway: HTTP in, Server-Sent Events out.

    Example: OVATION_NATS_URL=nats://127.0.0.1:4222 OVATION_JWT_SECRET=... ovation gateway
    """
    from gateway import process  # noqa: PLC0415 - heavy
    from infra.lifecycle import run_process  # noqa: PLC0415 - heavy

    loaded = _with_nats(environment.load())
    sys.exit(run_process("gateway", loaded, lambda life: process.run(loaded, life, listen_fd), ready_fd))


@app.command()
def worker(
    name: Annotated[str, typer.Argument(help="archive or media.")],
    ready_fd: ReadyFd = None,
) -> None:
    """Run one worker.

    Example: OVATION_NATS_URL=nats://127.0.0.1:4222 ovation worker archive
    """
    from infra.lifecycle import run_process  # noqa: PLC0415 - heavy
    from workers import process  # noqa: PLC0415 - heavy

    if name not in process.WORKERS:
        why = "is not in this version" if name in NOT_HERE else "is no worker"
        msg = f"worker {name} {why}; there are: {', '.join(process.WORKERS)}"
        raise BadSettings(msg)
    loaded = _with_nats(environment.load())
    sys.exit(run_process(f"worker {name}", loaded, lambda life: process.run(name, loaded, life), ready_fd))


@app.command(hidden=True)
def demo(ready_fd: ReadyFd = None) -> None:
    """Broadcast a test picture and chat; `up --demo` runs this.

    Example: ovation demo
    """
    from infra.lifecycle import run_process  # noqa: PLC0415 - heavy
    from ovation import demo as command  # noqa: PLC0415 - heavy

    loaded = environment.load()
    sys.exit(run_process("demo", loaded, lambda life: command.run(loaded, life), ready_fd))


@app.command()
def status(
    as_json: Annotated[bool, typer.Option("--json", help="A list of {name, pid, state, url, ops_url, restarts}.")] = False,
) -> None:
    """Show what `ovation up` runs from this data directory.

    Example: ovation status --json
    """
    from ovation import status as command  # noqa: PLC0415 - heavy

    rows = command.read(environment.load().data_dir)
    sys.stdout.write(json.dumps(rows) + "\n" if as_json else command.table(rows))


@app.command()
def token(
    sub: Annotated[str, typer.Option(help="Who: the user's id.")],
    name: Annotated[str, typer.Option(help="The name that is shown.")] = "",
    roles: Annotated[str, typer.Option(help="Comma separated: moderator, admin, creator, verified.")] = "",
    hours: Annotated[float, typer.Option(help="How long it lives.")] = 24.0,
) -> None:
    """Mint a token with this installation's secret.

    Example: ovation token --sub ada --name Ada --roles moderator,verified
    """
    from ovation import token as command  # noqa: PLC0415 - heavy

    sys.stdout.write(command.mint(environment.load(), sub, name, roles, hours) + "\n")


@app.command()
def migrate() -> None:
    """Bring the store to this version's schema; on a cluster once, before its processes start.

    Example: OVATION_STORE_URL=scylla://host1,host2/ovation ovation migrate
    """
    from infra import storage  # noqa: PLC0415 - heavy

    migrated = asyncio.run(storage.migrate(environment.load()))
    sys.stdout.write(f"{migrated} is at this version's schema\n")


@app.command()
def verify(stream_id: Annotated[str, typer.Argument(help="The stream's id.")]) -> None:
    """Compare a stream's live log with the store, row by row; ends with 1 when they differ.

    Example: OVATION_NATS_URL=nats://127.0.0.1:4222 ovation verify 018bcfe5-6800-7bb6-bc13-d949c5118ce2
    """
    from ovation import verify as command  # noqa: PLC0415 - heavy

    async def lines() -> int:
        told = 0
        async for line in command.run(_with_nats(environment.load()), stream_id):
            sys.stdout.write(f"{line}\n")
            told += 1
        return told

    # The last line is no difference: it says what was compared.
    sys.exit(1 if asyncio.run(lines()) > 1 else 0)


@app.command()
def doctor() -> None:
    """Say what is missing on this machine and what to do about it.

    Example: ovation doctor
    """
    from ovation import doctor as command  # noqa: PLC0415 - heavy

    sys.exit(command.run())


@topology_app.command("diff")
def topology_diff() -> None:
    """Show what `apply` would change; ends with 1 when something differs.

    Example: OVATION_NATS_URL=nats://127.0.0.1:4222 ovation topology diff
    """
    from ovation import topology  # noqa: PLC0415 - heavy

    differences = asyncio.run(topology.diff(_with_nats(environment.load())))
    sys.stdout.write("".join(f"{each}\n" for each in differences) or "nothing differs\n")
    sys.exit(1 if differences else 0)


@topology_app.command("apply")
def topology_apply() -> None:
    """Make the server as the files of nats/ want it; twice is as good as once.

    Example: OVATION_NATS_URL=nats://127.0.0.1:4222 ovation topology apply
    """
    from ovation import topology  # noqa: PLC0415 - heavy

    done = asyncio.run(topology.apply(_with_nats(environment.load())))
    sys.stdout.write("".join(f"{each}\n" for each in done) or "nothing to do\n")


def _with_nats(loaded: Settings) -> Settings:
    """The settings with a NATS address: the one named, or the one `ovation up` starts on this machine."""
    import msgspec  # noqa: PLC0415 - keeps --help light

    if loaded.nats_url:
        return loaded
    return msgspec.structs.replace(loaded, nats_url=f"nats://127.0.0.1:{loaded.nats_port}")
