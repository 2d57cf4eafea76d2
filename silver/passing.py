"""What a run publishes of each kind of drop: its rows, read and judged, without what is held."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.frames import Keep
from lakehouse.quality.batches import Content
from lakehouse.quality.failures import FAILURES
from lakehouse.tables import (
    DROPS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_MONEY_EVENTS,
    SILVER_OFFLINE_SCORES,
    SILVER_QUARANTINE_BATCH,
    SILVER_WARNINGS_BATCH,
)
from silver.drops import Drops, Source
from silver.failing import Failing, failing_rules
from silver.reading import Parse, Reading
from silver.round import Round

_NAMED = {
    "transactions": ("transaction_id", SILVER_BATCH_TRANSACTIONS),
    "fraud_scores": ("transaction_id", SILVER_OFFLINE_SCORES),
    "money_events": ("event_id", SILVER_MONEY_EVENTS),
}
"""The UUID that tells a row's identity, alone or with others, and the table that it is published
in. Of the other kinds, which are small, all rows are read."""


def passing_drops(
    lake: Lakehouse, contracts: Mapping[str, Parse], at_gates: Round, keep: Keep
) -> dict[str, Drops]:
    """Drops of the kinds that this round is about, by kind, without what a gate holds."""
    found = {}
    for kind in DROPS:
        if not at_gates.new_of(kind):
            continue
        drops, failing = _read(lake, kind, contracts[kind], at_gates, keep)
        passed = at_gates.passed(kind, drops, failing)
        if passed.new_paths:
            found[kind] = passed
    return found


def _read(
    lake: Lakehouse, kind: str, parse: Parse, at_gates: Round, keep: Keep
) -> tuple[Drops, list[Failing]]:
    """Rows of a kind, and the rules that cannot be computed of some of them: those are left out."""
    new = at_gates.new_of(kind)
    undecided, manifest = new & at_gates.undecided, at_gates.manifest_of(kind).for_run_on(new)
    is_own = F.col("source_table") == DROPS[kind].name
    reading = Reading(
        parse,
        at_gates.rules[kind],
        undecided,
        lake.read(SILVER_QUARANTINE_BATCH).where(is_own),
        lake.read(SILVER_WARNINGS_BATCH).where(is_own),
    )
    source = _source(lake, kind, reading, keep)
    drops = Drops.of(source, manifest, new, undecided)
    if not reading.rules.all:
        return drops, []
    try:
        # what is kept is computed at first use: here, where a rule that fails can be found
        drops.rows.count()
    except FAILURES:
        failing = failing_rules(source, reading)
        if not failing:
            raise
        reading = replace(reading, spared=_spared(failing))
        again = Drops.of(_source(lake, kind, reading, keep), manifest, new, undecided)
        return again, failing
    return drops, []


def _source(lake: Lakehouse, kind: str, reading: Reading, keep: Keep) -> Source:
    if kind not in _NAMED:
        return Source(lake.read(DROPS[kind]), reading, keep)
    named_by, table = _NAMED[kind]
    published = lake.read(table).select("identity")
    return Source(lake.read(DROPS[kind]), reading, keep, named_by, published)


def _spared(failing: list[Failing]) -> dict[str, frozenset[Content]]:
    spared: dict[str, frozenset[Content]] = {}
    for each in failing:
        spared[each.rule_id] = spared.get(each.rule_id, frozenset()) | each.contents
    return spared
