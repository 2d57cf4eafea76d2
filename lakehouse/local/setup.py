"""`python -m lakehouse.local.setup`: Java, jars, Spark's folder and classes, the scoring model.

Each step leaves alone what is right already, so a second run takes about a second.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lakehouse.errors import LakehouseError
from lakehouse.local import class_archive, java, spark_home
from lakehouse.local.jars import CACHE, ROOT, JarCache, Report, files_for, read_lock

CLASS_ARCHIVE = ROOT / ".cache" / "spark-classes.jsa"
_LINES_EVERY = 25


def prepare(environment: Mapping[str, str]) -> None:
    """Bring this virtual environment to what the lock files say.

    Raises:
        SetupError: there is no Java 17, a jar can't be fetched, or it is not the locked one.
    """
    chosen = java.find(environment, ROOT / ".cache")
    java.remember(chosen)
    cache = JarCache(CACHE)
    if wanted := cache.missing(read_lock()):
        with _progress(f"fetching {len(wanted)} jars") as report:
            cache.fetch(wanted, chosen, report)
        # records what was checked, so that the next set-up need not hash it again
        cache.missing(read_lock())
    home, commands = spark_home.spark_home(), Path(sys.executable).parent
    if spark_home.prepare(home, chosen, files_for("spark"), commands, CLASS_ARCHIVE):
        print(f"Spark: Delta and Kafka linked, Java 17 from {chosen.source}", flush=True)
    if not class_archive.is_fresh(CLASS_ARCHIVE, chosen, home):
        _archive_classes(chosen, home, commands)
    _train_model()


def _archive_classes(chosen: java.Java, home: Path, commands: Path) -> None:
    print("Spark: archiving its classes, so that jobs start faster (half a minute)", flush=True)
    with TemporaryDirectory() as scratch:
        made = class_archive.make(
            CLASS_ARCHIVE, chosen, home, commands / "spark-submit", Path(scratch)
        )
    if not made:
        print("Spark: no classes were archived; jobs start slower, all else is the same")


def _train_model() -> None:
    if importlib.util.find_spec("lakehouse.local.scoring") is None:
        return
    # needs scikit-learn, which set-up itself must not import before it is wanted
    from lakehouse.local.scoring.train import ensure_model

    ensure_model()


@contextmanager
def _progress(label: str) -> Iterator[Report]:
    """Show a bar on a terminal, and plain lines elsewhere."""
    if not sys.stdout.isatty():
        print(label, flush=True)

        def line(done: int, total: int) -> None:
            if done % _LINES_EVERY == 0 or done == total:
                print(f"{label}: {done}/{total}", flush=True)

        yield line
        return
    # rich takes a fifth of a second that a set-up with nothing to do need not spend
    from rich.progress import Progress

    with Progress() as bar:
        task = bar.add_task(label)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def main() -> int:
    """Run set-up; an error is one line, and the exit code."""
    try:
        prepare(os.environ)
    except LakehouseError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: run `make setup` again, what arrived is kept", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
