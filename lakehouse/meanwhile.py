"""Queries that run beside each other, where neither needs what the other finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Protocol, TypeVar

from pyspark import inheritable_thread_target

from lakehouse.monitoring import warn

T = TypeVar("T")

_MOST = 2  # besides the caller's own: a driver plans each on a core


class Start(Protocol):
    """Begins some work in a thread of its own; what it returns waits for the answer."""

    def __call__(self, work: Callable[[], T]) -> Callable[[], T]: ...


@contextmanager
def meanwhile() -> Iterator[Start]:
    """Give `start`. What was started has ended when the block ends, waited for or not.

    Its queries have the caller's Spark properties: who stops the caller's stream stops them too.
    What it logs has the caller's fields.
    An error of the work is raised where its answer is asked for; where the block ends by another
    one before that, it is logged.
    """
    begun: list[Future[Any]] = []
    try:
        with ThreadPoolExecutor(_MOST, thread_name_prefix="meanwhile") as pool:

            def start(work: Callable[[], T]) -> Callable[[], T]:
                # taken here, of the thread that starts it: Spark's properties, and the log's fields
                inheriting = inheritable_thread_target(work)
                begun.append(pool.submit(copy_context().run, inheriting))
                return begun[-1].result

            yield start
    except Exception as raised:
        for fault in (work.exception() for work in begun):
            if fault is not None and fault is not raised:
                warn("failed beside another fault", error=type(fault).__name__)
        raise
