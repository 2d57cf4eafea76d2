"""landing/ -> bronze.drops_* and the file manifest, each content of each file once.

The rows of all files of a kind are one commit, the manifest follows: a run that dies between the
two finds its rows in Bronze and writes the manifest only.
"""

from __future__ import annotations

from collections.abc import Sequence

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import functions as F

from bronze.control import Totals, unmet
from bronze.drops import drop_rows, raw_rows, totals_by_path
from bronze.landing import LandedDay, LandedFile, Landing
from bronze.manifest import Content, Judgement, Manifest, Pending, manifest_rows
from lakehouse.config import secret
from lakehouse.context import Lakehouse
from lakehouse.job import run
from lakehouse.monitoring import log
from lakehouse.tables import BRONZE_DROP_FILES, DROPS


def load_drops(lake: Lakehouse) -> None:
    """Load what is new or changed in landing/; hold what cannot be read or misses its totals."""
    files = lake.read(BRONZE_DROP_FILES)
    manifest = Manifest.of(files)
    landing = Landing(lake.spark, lake.config.lake.landing)
    judgements = [
        judgement for kind in DROPS for judgement in _load_kind(lake, landing, manifest, kind)
    ]
    news = [judgement for judgement in judgements if not manifest.says(judgement)]
    if news:
        lake.append(manifest_rows(files, news), to=BRONZE_DROP_FILES)
    held = sum(judgement.reason is not None for judgement in judgements)
    log("drops", job=lake.job, counts={"loaded": len(judgements) - held, "held": held})


def _load_kind(lake: Lakehouse, landing: Landing, manifest: Manifest, kind: str) -> list[Judgement]:
    days = [
        day
        for day in landing.complete_days(kind)
        if not all(manifest.is_settled(file) for file in day.files)
    ]
    if not days:
        return []
    landed = _landed(lake, kind, days)
    pending = {}
    for file in (file for day in days for file in day.files if not manifest.is_settled(file)):
        content = manifest.content_of(file.path, landing.sha256(file), landed)
        # a file that was only touched is loaded
        if not manifest.is_loaded(content):
            pending[file.path] = Pending(file, content)
    judgements = _judged(lake, landing, days, pending)
    accepted = [judgement.pending for judgement in judgements if judgement.reason is None]
    _append(lake, kind, [p for p in accepted if p.content not in landed])
    return judgements


def _landed(lake: Lakehouse, kind: str, days: Sequence[LandedDay]) -> set[Content]:
    """Contents whose rows Bronze holds, of the days in question."""
    dates = sorted({file.delivery_date for day in days for file in day.files})
    rows = lake.read(DROPS[kind]).where(F.col("delivery_date").isin(dates))
    return {Content(*row) for row in rows.select(*Content._fields).distinct().collect()}


def _judged(
    lake: Lakehouse, landing: Landing, days: Sequence[LandedDay], pending: dict[str, Pending]
) -> list[Judgement]:
    """Row count of each pending file, and why it is held, if it is.

    The sender's totals are those of all files of a day: the loaded ones count too, and a day that
    misses them holds all that is pending in it.
    """
    days = [day for day in days if any(file.path in pending for file in day.files)]
    faults = {path: _fault(landing, p.file) for path, p in pending.items()}
    readable = [file for day in days for file in day.files if not faults.get(file.path)]
    totals, damaged = _totals(lake, readable)
    judgements = []
    for day in days:
        found = sum((totals.get(file.path, Totals()) for file in day.files), Totals())
        miss = unmet(day.control, found)
        for path in (file.path for file in day.files if file.path in pending):
            reason = faults[path] or damaged.get(path) or miss
            rows = totals.get(path, Totals()).rows
            judgements.append(Judgement(pending[path], rows, reason))
    return judgements


def _fault(landing: Landing, file: LandedFile) -> str | None:
    if file.format is None:
        return "the format is unknown: expected .csv, .csv.gz, .json, .jsonl or .parquet"
    if file.size_bytes == 0:
        return "the file is empty"
    return landing.gzip_fault(file) if file.is_gzip else None


def _totals(
    lake: Lakehouse, files: Sequence[LandedFile]
) -> tuple[dict[str, Totals], dict[str, str]]:
    """Totals by path; and by path, why Spark cannot read a file."""
    if not files:
        return {}, {}
    try:
        return totals_by_path(raw_rows(lake.spark, files)), {}
    # which of the two it is depends on how deep in the engine a file failed
    except (PySparkException, Py4JJavaError) as error:
        if len(files) == 1:
            return {}, {files[0].path: f"the file cannot be read ({type(error).__name__})"}
    # one damaged file fails the query of all: ask for each alone
    totals: dict[str, Totals] = {}
    damaged: dict[str, str] = {}
    for file in files:
        of_file, fault = _totals(lake, [file])
        totals |= of_file
        damaged |= fault
    return totals, damaged


def _append(lake: Lakehouse, kind: str, accepted: Sequence[Pending]) -> None:
    if not accepted:
        return
    card_key = secret(lake.config.cards.token_key).encode()
    rows = raw_rows(lake.spark, [p.file for p in accepted])
    revisions = [
        (p.content.path, p.file.delivery_date, p.content.file_sha256, p.content.file_revision)
        for p in accepted
    ]
    lake.append(drop_rows(rows, revisions, card_key), to=DROPS[kind])


if __name__ == "__main__":
    run(load_drops)
