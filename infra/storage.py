"""The stores that OVATION_STORE_URL names, opened: the one place that chooses between SQLite and a cluster."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from infra.settings import Settings
from infra.sqlite import Database, SqliteComments, SqliteModeration, SqlitePeople, SqliteStreams
from infra.stores import CommentStore, ModerationStore, PeopleStore, StreamStore


class Storage(Struct, frozen=True):
    """The stores of one database, and how to let go of it."""

    comments: CommentStore
    streams: StreamStore
    people: PeopleStore
    moderation: ModerationStore
    close: Callable[[], Awaitable[None]]


def check(settings: Settings) -> None:
    """See that the settings name a store that there can be; nothing is opened.

    Raises:
        BadSettings: OVATION_STORE_URL or what belongs to it is wrong.
    """
    named(settings)


def named(settings: Settings) -> str:
    """Which store the settings name; never a password.

    Raises:
        BadSettings: as `check`.
    """
    if not settings.store_is_cluster:
        return str(settings.store_path())
    from infra import scylla  # noqa: PLC0415 - as below

    address = scylla.Address.of(settings)
    address.ssl_context()
    return str(address)


async def open_storage(settings: Settings) -> Storage:
    """Open the store. A file is made and migrated by whoever opens it; a cluster only by `migrate`.

    Raises:
        BadSettings: OVATION_STORE_URL or what belongs to it is wrong.
        Unavailable: the file or the cluster cannot be opened now; says why, and what to do.
        StoreTooNew: a newer version wrote it.
    """
    if not settings.store_is_cluster:
        file = await Database.open(settings.store_path())
        return Storage(SqliteComments(file), SqliteStreams(file), SqlitePeople(file), SqliteModeration(file), file.close)
    # A fifth of a second, and 15 MB, that a machine with a file need not spend.
    from infra import scylla  # noqa: PLC0415

    cluster = await scylla.Database.open(scylla.Address.of(settings))
    return Storage(
        scylla.ScyllaComments(cluster),
        scylla.ScyllaStreams(cluster),
        scylla.ScyllaPeople(cluster),
        scylla.ScyllaModeration(cluster),
        cluster.close,
    )


async def migrate(settings: Settings) -> str:
    """Bring the store to this version's schema; which store that is.

    Raises:
        BadSettings, Unavailable, StoreTooNew: as `open_storage`.
    """
    if settings.store_is_cluster:
        from infra import scylla  # noqa: PLC0415 - as above

        await scylla.migrate(scylla.Address.of(settings))
    else:
        await (await Database.open(settings.store_path())).close()
    return named(settings)
