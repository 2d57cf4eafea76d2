"""What a run says of itself: JSON log lines with an allow-list of fields.

Monitoring never fails a job: it logs its own failure and goes on.
"""

from __future__ import annotations

import logging
import sys
import time
import uuid
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

# no payload, no user id, no token can be logged: a field that is not named here is dropped
_ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "run_id", "job", "batch", "table", "version",
        "rows", "seconds", "outcome", "error", "counts", "reason",
    }
)  # fmt: skip


def configure_logging() -> None:
    """Send log lines to standard error: JSON for programs, coloured text on a terminal."""
    on_terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _only_allowed,
            structlog.dev.ConsoleRenderer() if on_terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def log(event: str, **fields: Any) -> None:
    """Write one line; fields outside the allow-list are dropped."""
    structlog.get_logger().info(event, **fields)


@contextmanager
def watched(job: str) -> Iterator[None]:
    """Log the start and the end of one run, with its duration and outcome; re-raise."""
    run_id, started = uuid.uuid4().hex[:12], time.monotonic()
    log("started", job=job, run_id=run_id)
    outcome, error = "failed", None
    try:
        yield
        outcome = "finished"
    except BaseException as fault:
        error = type(fault).__name__
        raise
    finally:
        log(
            outcome,
            job=job,
            run_id=run_id,
            seconds=round(time.monotonic() - started, 3),
            **({"error": error} if error else {}),
        )


def _only_allowed(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {key: value for key, value in fields.items() if key in _ALLOWED}
