"""Logging: JSON lines in the workspace, readable lines on stderr, both from structlog.

Iteration, state and cluster are bound once a step (structlog's context variables), so every line
carries them. The file is rotated by size, and opened anew when somebody moved it away.
"""

from __future__ import annotations

import logging
import logging.handlers
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import structlog

from auto_iter.config.schema import Log
from auto_iter.log.line import readable


class _WorkspaceHandler(logging.handlers.RotatingFileHandler):
    """Rotates by size, follows a moved file; on a full disk it loses lines, not the daemon."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            moved = not Path(self.baseFilename).exists()
        except OSError:
            moved = False
        if moved and self.stream is not None:
            self.stream.close()
            self.stream = None
        super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say nothing: the same line is on stderr."""


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Writes to what stderr is now: the progress display puts itself in front of it."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)

    def emit(self, record: logging.LogRecord) -> None:
        self.stream = sys.stderr
        super().emit(record)


_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
    chain: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        renderer,
    ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=chain)


@contextmanager
def logging_to(path: Path, settings: Log, console: TextIO | None = None) -> Iterator[None]:
    """Send the log to `path` (JSON lines) and `console` (default stderr) until the block ends."""
    stream = console if console is not None else sys.stderr
    to_console = _StderrHandler() if console is None else logging.StreamHandler(console)
    colors = hasattr(stream, "isatty") and stream.isatty()
    to_console.setFormatter(_formatter(lambda _log, _name, entry: readable(entry, colors=colors)))
    to_file = _WorkspaceHandler(
        path, maxBytes=settings.max_bytes, backupCount=settings.backups, encoding="utf-8"
    )
    to_file.setFormatter(_formatter(structlog.processors.JSONRenderer()))
    handlers: list[logging.Handler] = [to_console, to_file]
    logger = logging.getLogger("auto_iter")
    logger.handlers = handlers
    logger.propagate = False
    logger.setLevel(settings.level.upper())
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    try:
        yield
    finally:
        for handler in handlers:
            handler.close()
        logger.handlers = []


def get_logger() -> structlog.stdlib.BoundLogger:
    """Return the program's logger."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger("auto_iter")
    return logger
