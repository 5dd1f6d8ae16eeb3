"""The errors of the adapters, named for what the caller must do. Everything else is a bug and is left to crash."""


class OvationError(Exception):
    """Any of ours; its text names the cause and the next step."""


class Unavailable(OvationError):
    """A dependency does not answer or refuses for the moment: try the same again later, it is safe to repeat."""

    def __init__(self, cause: str, retry_after: int = 1) -> None:
        """*cause* says what is away; *retry_after* is in whole seconds."""
        super().__init__(cause)
        self.retry_after = retry_after


class Refused(Unavailable):
    """A dependency answers and does not take this: find out whether it takes anything else before giving it up."""


class Conflict(OvationError):
    """Somebody else wrote first: read again, then decide again."""


class Missing(OvationError):
    """What was asked for does not exist, or no longer."""


class LimitReached(OvationError):
    """The party has spent its window: wait `retry_after` whole seconds.

    `free_in_s` is set where the window is over and only the log's own margin is left of it (`infra.jetstream.limits.outwait`).
    """

    def __init__(self, name: str, retry_after: int, free_in_s: float | None = None) -> None:
        super().__init__(f"limit {name} reached; try again in {retry_after} s")
        self.name = name
        self.retry_after = retry_after
        self.free_in_s = free_in_s


class BadSettings(OvationError):
    """The environment or a configuration file is wrong; the process must not start. Names the variable."""


class StoreTooNew(OvationError):
    """The data on disk was written by a newer version: run that version, or use another OVATION_DATA_DIR."""
