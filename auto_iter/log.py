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

from auto_iter.config import Log


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


_SHARED = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def _console(*, colors: bool) -> structlog.dev.ConsoleRenderer:
    return structlog.dev.ConsoleRenderer(
        colors=colors, pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
    )


def _formatter(renderer: structlog.typing.Processor) -> logging.Formatter:
    chain: list[structlog.typing.Processor] = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.format_exc_info,
        renderer,
    ]
    if isinstance(renderer, structlog.dev.ConsoleRenderer):
        chain.remove(structlog.processors.format_exc_info)
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=_SHARED, processors=chain)


@contextmanager
def logging_to(path: Path | None, settings: Log, console: TextIO | None = None) -> Iterator[None]:
    """Send the log to `path` (JSON lines) and `console` (default stderr) until the block ends."""
    stream = console if console is not None else sys.stderr
    handlers: list[logging.Handler] = [logging.StreamHandler(stream)]
    colors = hasattr(stream, "isatty") and stream.isatty()
    handlers[0].setFormatter(_formatter(_console(colors=colors)))
    if path is not None:
        handlers.append(
            _WorkspaceHandler(
                path, maxBytes=settings.max_bytes, backupCount=settings.backups, encoding="utf-8"
            )
        )
        handlers[1].setFormatter(_formatter(structlog.processors.JSONRenderer()))
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
