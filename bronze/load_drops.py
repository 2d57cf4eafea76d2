"""landing/ -> bronze.drops_* and the file manifest, each content of each file once.

The rows of all files of a kind are one commit, the manifest follows: a run that dies between the
two finds its rows in Bronze and writes the manifest only. Rows whose content the manifest never
names, since their file was replaced in the meantime, count for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from bronze.control import Totals, unmet
from bronze.drops import drop_rows, raw_rows, totals_by_path
from bronze.landing import LandedDay, LandedFile, Landing
from bronze.manifest import Content, Judgement, Manifest, Pending, manifest_rows
from lakehouse.config import secret
from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.frames import Keep, keeping
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.tables import BRONZE_DROP_FILES, DROPS


def load_drops(lake: Lakehouse) -> None:
    """Load what is new or changed in landing/; hold what cannot be read or misses its totals."""
    files = lake.read(BRONZE_DROP_FILES)
    manifest = Manifest.of(files)
    landing = Landing(lake.spark, lake.config.lake.landing)
    days = landing.complete_days(DROPS)
    hashes = {
        file: landing.sha256(file)
        for file in (file for day in days for file in day.files)
        if not manifest.is_settled(file)
    }
    touched = [found for file in hashes if (found := manifest.touched(file, hashes[file]))]
    for judgement in touched:
        del hashes[judgement.pending.file]
    landed = _landed(lake, list(hashes))
    pending = {
        file.path: Pending(file, manifest.content_of(file.path, sha256, landed))
        for file, sha256 in hashes.items()
    }
    judgements = _loaded(lake, landing, days, pending, landed) if pending else []
    news = [judgement for judgement in judgements if not manifest.says(judgement)]
    if news or touched:
        lake.append(manifest_rows(files, news + touched), to=BRONZE_DROP_FILES)
    held = sum(judgement.reason is not None for judgement in judgements)
    counts = {"loaded": len(judgements) - held, "held": held, "touched": len(touched)}
    log("drops", job=lake.job, counts=counts)


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
    days = sorted({file.delivery_date for file in files})
    paths = [file.path for file in files]
    asked = rows.where(F.col("delivery_date").isin(days) & F.col("path").isin(paths))
    return {Content(*row) for row in asked.select(*Content._fields).distinct().collect()}


def _loaded(
    lake: Lakehouse,
    landing: Landing,
    days: Sequence[LandedDay],
    pending: Mapping[str, Pending],
    landed: set[Content],
) -> list[Judgement]:
    """Append the rows of pending files to Bronze; say what becomes of each file."""
    days = [day for day in days if any(file.path in pending for file in day.files)]
    faults = {path: fault for path, p in pending.items() if (fault := _fault(landing, p.file))}
    # the sender's totals are those of all files of a day: the loaded ones count too
    readable = [
        file
        for day in days
        for file in day.files
        if file.path not in faults and (file.path in pending or day.control)
    ]
    with keeping() as keep:
        rows, totals, damaged = _read(lake, keep, readable, pending)
        judgements = [
            judgement
            for day in days
            for judgement in _judged(landing, day, pending, totals, faults | damaged)
        ]
        accepted = [judgement.pending for judgement in judgements if judgement.reason is None]
        for kind in DROPS:
            paths = [
                p.file.path for p in accepted if p.file.kind == kind and p.content not in landed
            ]
            if rows is not None and paths:
                lake.append(rows.where(F.col("path").isin(paths)), to=DROPS[kind])
    return judgements


def _judged(
    landing: Landing,
    day: LandedDay,
    pending: Mapping[str, Pending],
    totals: Mapping[str, Totals],
    faults: Mapping[str, str],
) -> list[Judgement]:
    """Row count of each pending file of a day, and why it is held, if it is.

    A day that misses its totals holds all that is pending in it.
    """
    found = sum((totals.get(file.path, Totals()) for file in day.files), Totals())
    miss = unmet(landing.text(day.control) if day.control else None, found)
    return [
        Judgement(pending[path], totals.get(path, Totals()).rows, faults.get(path) or miss)
        for path in (file.path for file in day.files if file.path in pending)
    ]


def _fault(landing: Landing, file: LandedFile) -> str | None:
    if file.format is None:
        return "the format is unknown: expected .csv, .csv.gz, .json, .jsonl or .parquet"
    if file.size_bytes == 0:
        return "the file is empty"
    return landing.gzip_fault(file) if file.is_gzip else None


def _read(
    lake: Lakehouse, keep: Keep, files: Sequence[LandedFile], pending: Mapping[str, Pending]
) -> tuple[DataFrame | None, dict[str, Totals], dict[str, str]]:
    """Rows of all readable files, their totals by path, and why others cannot be read."""
    card_key = secret(lake.config.cards.token_key).encode()
    contents = [p.content for p in pending.values()]
    damaged: dict[str, str] = {}
    while files:
        try:
            rows = keep(drop_rows(raw_rows(lake.spark, files), contents, card_key))
            return rows, totals_by_path(rows), damaged
        # which of the two it is depends on how deep in the engine a file failed
        except (PySparkException, Py4JJavaError):
            found = _damaged(lake, files)
            if not found:
                raise
            damaged |= found
            files = [file for file in files if file.path not in damaged]
    return None, {}, damaged


def _damaged(lake: Lakehouse, files: Sequence[LandedFile]) -> dict[str, str]:
    """Why Spark cannot read files, by path. One fails the query of all: halves are asked alone."""
    try:
        totals_by_path(raw_rows(lake.spark, files))
    except (PySparkException, Py4JJavaError) as error:
        if len(files) == 1:
            return {files[0].path: f"the file cannot be read ({type(error).__name__})"}
        middle = len(files) // 2
        return _damaged(lake, files[:middle]) | _damaged(lake, files[middle:])
    return {}


if __name__ == "__main__":
    run(load_drops)
