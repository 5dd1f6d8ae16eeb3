"""Logs: JSON lines, or people's form on a terminal; with trace ids, never with a credential."""

import logging
import re
import sys
from typing import Any, Literal

import orjson
import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

#: JSON Web Tokens, the value of `?ticket=`, and stream keys (`<stream id>_<43 characters>`).
_SECRETS = re.compile(
    r"eyJ[\w-]{6,}\.[\w-]+\.[\w-]*"
    r"|(?<=ticket=)[^&\s\"']+"
    r"|(?<=[0-9a-f]{12}_)[\w-]{40,}"
)
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


def redact(value: Any) -> Any:  # noqa: ANN401 - any logged value
    """Cut credentials out of *value*, whatever it is made of."""
    if isinstance(value, str):
        return _SECRETS.sub("[redacted]", value)
    if isinstance(value, bytes):
        return redact(value.decode("utf-8", "replace"))
    if isinstance(value, dict):
        return {key: redact(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(each) for each in value]
    return value


def _redacted(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: redact(value) for key, value in event.items()}


def _dumps(event: EventDict, **_: Any) -> bytes:  # noqa: ANN401 - structlog's signature
    return orjson.dumps(event, default=str)


class _FromStdlib(logging.Handler):
    """Brings other libraries' records into the same lines."""

    def emit(self, record: logging.LogRecord) -> None:
        get(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info or None)


def configure(
    *,
    level: Literal["debug", "info", "warning", "error"] = "info",
    form: Literal["auto", "json", "text"] = "auto",
    process: str = "",
) -> None:
    """Set up this process's logs on stderr. *process* is bound to every line, as `gateway-0`."""
    text = form == "text" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        # Before anything is cut out; and plain, since a pretty traceback shows local variables, tokens among them.
        structlog.processors.format_exc_info,
        _redacted,
    ]
    if text:
        plain = structlog.dev.plain_traceback
        shared.append(structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain))
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        shared.append(structlog.processors.JSONRenderer(_dumps))
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=shared,
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    if process:
        structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(handlers=[_FromStdlib()], level=max(_LEVELS[level], logging.WARNING), force=True)


def get(name: str) -> FilteringBoundLogger:
    """The logger of a module."""
    logger: FilteringBoundLogger = structlog.get_logger(source=name)
    return logger
