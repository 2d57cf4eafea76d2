"""landing/ -> bronze.drops_* and the file manifest, each content of each file once.

The rows of all files of a kind are one commit, the manifest follows: a run that dies between the
two finds its rows in Bronze and writes the manifest only. Rows whose content the manifest never
names, since their file was replaced in the meantime, count for nothing.

With `--release PATH --reason TEXT` a file that is held loads all the same, and that is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Annotated

import typer
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bronze.faults import Fault
from bronze.judging import (
    MOST_MISPLACED,
    deliveries,
    judged_day,
    merged,
    misplaced_judgements,
    require_released,
    require_unreplaced,
    unread_fault,
)
from bronze.landing import LandedDay, LandedFile, Landing
from bronze.manifest import Content, Judgement, Manifest, Release, manifest_rows
from bronze.reading import content_hash, control_of, first_fault, read_rows, second_look
from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.frames import keeping
from lakehouse.job import run
from lakehouse.monitoring import log, warn
from lakehouse.records.codes import Verdict
from lakehouse.secret_stores import secret
from lakehouse.tables import BRONZE_DROP_FILES, DROPS


def load_drops(
    lake: Lakehouse,
    release: Annotated[str | None, typer.Option(help="Load this held file all the same.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why it may load; is recorded.")] = None,
) -> None:
    """Load what is new or changed in landing/; hold what cannot be read or trusted.

    Raises:
        DropNotHeldError: the file to release is not held.
        DropNotReleasableError: it cannot be read, or is not the one that was held.
        LandingNotListedError: nobody can say which files were delivered.
    """
    reason = (reason or "").strip()
    if (release is None) != (not reason):
        raise typer.BadParameter("--release PATH needs a --reason, and that a --release")
    files = lake.read(BRONZE_DROP_FILES)
    manifest = Manifest.of(files)
    released = manifest.release(release, reason) if release and reason else None
    landing = Landing(lake.spark, lake.config.lake.landing)
    days, misplaced = landing.listed()
    gone = manifest.gone(_paths(days, misplaced))
    fresh = [(day, file) for day in days for file in day.files if not manifest.is_settled(file)]
    hashes = {file: unread_fault(day) or content_hash(landing, file) for day, file in fresh}
    unread = {file: found for file, found in hashes.items() if isinstance(found, Fault)}
    contents = {file: found for file, found in hashes.items() if isinstance(found, str)}
    touched = [found for file in contents if (found := manifest.touched(file, contents[file]))]
    for judgement in touched:
        del contents[judgement.file]
    landed = _landed(lake, list(contents))
    pending = {
        file.path: manifest.content_of(file.path, sha256, landed)
        for file, sha256 in contents.items()
    }
    require_unreplaced(released, pending)
    judgements = [Judgement(file, None, fault=fault) for file, fault in unread.items()]
    judgements += [*gone, *misplaced_judgements(misplaced)]
    if pending:
        faults = {file.path: fault for file, fault in unread.items()}
        judgements += _loaded(lake, landing, days, pending, faults, landed, released)
    news = touched + [judgement for judgement in judgements if not manifest.says(judgement)]
    if news:
        rows = manifest_rows(files, news, manifest.after(lake.clock()))
        lake.append(rows, to=BRONZE_DROP_FILES)
    _report(lake.job, judgements, touched, news, len(misplaced))


def _paths(days: Sequence[LandedDay], misplaced: Sequence[LandedFile]) -> set[str]:
    """All that lies in landing/."""
    placed = {file.path for day in days for file in day.files}
    return placed | {file.path for file in misplaced}


def _report(
    job: str,
    judgements: Sequence[Judgement],
    touched: Sequence[Judgement],
    news: Sequence[Judgement],
    misplaced: int,
) -> None:
    verdicts = [judgement.verdict for judgement in judgements]
    counts = {str(verdict).lower(): verdicts.count(verdict) for verdict in Verdict}
    counts |= {"touched": len(touched), **deliveries(touched, news)}
    log("drops", job=job, counts=counts)
    if misplaced:
        where = "landing/ has files outside of KIND/date=YYYY-MM-DD/, which nobody reads"
        unnamed = max(0, misplaced - MOST_MISPLACED)
        warn("misplaced", job=job, reason=where, counts={"files": misplaced, "unnamed": unnamed})


def _landed(lake: Lakehouse, files: Sequence[LandedFile]) -> set[Content]:
    """Contents of these files whose rows Bronze holds already."""
    kinds = [
        kind
        for kind in sorted({file.kind for file in files})
        # version 0 is an empty table
        if latest_version(lake.spark, path_of(lake.config, DROPS[kind])) > 0
    ]
    if not kinds:
        return set()
    rows = reduce(
        DataFrame.unionByName,
        [lake.read(DROPS[kind]).select("delivery_date", *Content._fields) for kind in kinds],
    )
    days = sorted({file.delivery_date for file in files if file.delivery_date})
    paths = [file.path for file in files]
    asked = rows.where(F.col("delivery_date").isin(days) & F.col("path").isin(paths))
    return {Content(*row) for row in asked.select(*Content._fields).distinct().collect()}


def _loaded(
    lake: Lakehouse,
    landing: Landing,
    days: Sequence[LandedDay],
    pending: Mapping[str, Content],
    unread: Mapping[str, Fault],
    landed: set[Content],
    released: Release | None,
) -> list[Judgement]:
    """Append the rows of pending files to Bronze; say what becomes of each file.

    `unread` says of files beside them why they are not pending.
    """
    days = [day for day in days if any(file.path in pending for file in day.files)]
    files = [file for day in days for file in day.files if file.path in pending]
    faults: dict[str, Fault] = {
        file.path: fault for file in files if (fault := first_fault(lake.spark, landing, file))
    }
    # the sender's totals are those of all files of a day: the loaded ones count too
    readable = [
        file
        for day in days
        for file in day.files
        if (file.path in pending or day.control)
        and file.path not in unread
        and file.size_bytes
        and (file.path not in faults or faults[file.path].has_rows)
    ]
    card_key = secret(lake.config.cards.token_key).encode()
    with keeping() as keep:
        read = read_rows(lake.spark, keep, readable, pending.values(), card_key)
        # a second look behind the rows: of what was written meanwhile, nothing can be said
        behind = {file.path: fault for file in files if (fault := second_look(landing, file))}
        faults = merged({**faults, **unread}, read.faults, behind)
        judgements = [
            judgement
            for day in days
            for judgement in judged_day(
                day,
                control_of(landing, day),
                pending,
                read.totals,
                faults,
                released,
            )
        ]
        require_released(released, judgements)
        accepted = [j.content for j in judgements if j.verdict == Verdict.LOADED and j.content]
        for kind in DROPS:
            paths = [
                content.path
                for content in accepted
                if content.path.startswith(f"{kind}/") and content not in landed
            ]
            if read.rows is not None and paths:
                lake.append(read.rows.where(F.col("path").isin(paths)), to=DROPS[kind])
    return judgements


if __name__ == "__main__":
    run(load_drops)
