"""What a run says of itself: JSON log lines with an allow-list of fields, and its last word.

Monitoring never fails a job: a line that cannot be written is lost, and the job goes on.
"""

from __future__ import annotations

import logging
import re
import sys
import time
import traceback
import uuid
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any, NoReturn

import structlog

from lakehouse.errors import FAILURE_EXIT_CODE, LakehouseError

# no payload, no user id, no token can be logged: a field that is not named here is dropped
_ALLOWED = frozenset(
    {
        "event", "level", "timestamp", "run_id", "job", "batch", "table", "version",
        "rows", "seconds", "outcome", "error", "counts", "reason", "rule", "subject", "channel",
    }
)  # fmt: skip

_INTERRUPTED = 130
# what py4j puts before the fault itself
_PREAMBLE = "An error occurred while calling"
_OF_SPARK = frozenset({"pyspark", "py4j"})
_NAMES = re.compile(
    r"^(?:: |Caused by: )?((?:\w+\.)*[A-Z]\w*(?:Exception|Error))(?=:|\s*$)"
    r"|(?:^|(?<=Exception: )|(?<=Error: ))(\[[A-Z][A-Z0-9_]*(?:\.[A-Z0-9_]+)*\])",
    re.ASCII | re.MULTILINE,
)


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
        # looked up for each line: a progress bar takes standard error over while it is shown
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
    )


Listener = Callable[[str, Mapping[str, Any]], bool]
_listeners: list[Listener] = []
# since when the work that lines tell of has been under way, by a clock that never goes back
_since: ContextVar[float | None] = ContextVar("_since", default=None)


@contextmanager
def about(**fields: Any) -> Iterator[None]:
    """Say on each line of this thread what it is about (`run_id`, `job`, `batch`), and `seconds`.

    Those are counted from here on. A line's own fields stand over these.
    """
    begun = _since.set(time.monotonic())
    try:
        with structlog.contextvars.bound_contextvars(**fields):
            yield
    finally:
        _since.reset(begun)


def log(event: str, **fields: Any) -> None:
    """Write one line; fields outside the allow-list are dropped."""
    _log("info", event, fields)


def warn(event: str, **fields: Any) -> None:
    """The same as a warning: the job goes on, and somebody should look."""
    _log("warning", event, fields)


def _log(level: str, event: str, fields: Mapping[str, Any]) -> None:
    told = {**structlog.contextvars.get_contextvars(), **_elapsed(), **fields}
    allowed = {name: value for name, value in told.items() if name in _ALLOWED}
    is_shown = False
    for hear in tuple(_listeners):
        with suppress(Exception):
            is_shown |= hear(event, allowed)
    if is_shown:
        return
    # nobody may be listening any more, and a field may not be JSON: neither is the job's fault
    with suppress(Exception):
        getattr(structlog.get_logger(), level)(event, **allowed)


def _elapsed() -> dict[str, float]:
    since = _since.get()
    return {} if since is None else {"seconds": round(time.monotonic() - since, 3)}


@contextmanager
def heard_by(listener: Listener) -> Iterator[None]:
    """Tell `listener` each line first, from whichever thread it comes: its event and its fields.

    A line for which it returns True it shows itself, and it is written nowhere else.
    """
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


@contextmanager
def watched(job: str, run_id: str | None = None) -> Iterator[None]:
    """Log the start and the end of one run, with its duration and outcome; re-raise."""
    with about(job=job, run_id=run_id or uuid.uuid4().hex[:12]):
        log("started")
        outcome, error = "failed", None
        try:
            yield
            outcome = "finished"
        except BaseException as fault:
            error = type(fault).__name__
            raise
        finally:
            log(outcome, **({"error": error} if error else {}))


def finish(work: Callable[[], object], debug: bool) -> NoReturn:
    """Do the work of this process and leave with its exit code.

    A fault is one line on standard error, of every kind; `debug` shows its stack trace before.
    """
    try:
        outcome = work()
    except Exception as fault:
        if debug:
            traceback.print_exc()
            print(getattr(fault, "stackTrace", ""), file=sys.stderr)  # the JVM's half
        print(f"error: {told(fault)}", file=sys.stderr)
        sys.exit(getattr(fault, "exit_code", FAILURE_EXIT_CODE))
    # typer gives an exit code where a command ended itself, and what it returned elsewhere
    code = outcome if isinstance(outcome, int) else 0
    if code == _INTERRUPTED:
        print("interrupted", file=sys.stderr)
    sys.exit(code)


def told(fault: BaseException) -> str:
    """What is wrong, in one line: a foreign fault by its class and the first line it says.

    One of Spark by classes and error conditions alone: `[CAST_INVALID_INPUT]`.
    """
    if isinstance(fault, LakehouseError):
        return str(fault)
    # typer carries a click of its own, whose errors have no public base class
    usage = getattr(fault, "format_message", None)
    if usage is not None:
        context = getattr(fault, "ctx", None)
        where = f" See `{context.command_path} --help`." if context is not None else ""
        return f"{first_line(usage()).rstrip('.')}.{where}"
    said = (_names_in if _is_of_spark(fault) else first_line)(str(fault)) or "it says nothing more"
    return f"{type(fault).__name__}: {said} (--debug shows the stack trace)"


def _is_of_spark(fault: BaseException) -> bool:
    # by name: whoever judges alerts tells faults too, and has no Spark
    modules = {each.__module__.partition(".")[0] for each in type(fault).__mro__}
    return not modules.isdisjoint(_OF_SPARK)


def _names_in(message: str) -> str:
    """Classes and error conditions: the words between them may quote a value of a payment."""
    return ", ".join(dict.fromkeys(found[1] or found[2] for found in _NAMES.finditer(message)))


def first_line(message: str) -> str:
    """The first line that says something."""
    lines = (line.strip(" \t:") for line in message.splitlines())
    return next((line for line in lines if line and not line.startswith(_PREAMBLE)), "")


def _only_allowed(
    _logger: Any, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    return {key: value for key, value in fields.items() if key in _ALLOWED}
