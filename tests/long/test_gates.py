"""Batches at the gates: what failed waits and changes nothing, and all the rest goes on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.errors import BatchNotHeldError, ConfigError
from lakehouse.monitoring import heard_by
from lakehouse.quality.batches import Ledger
from lakehouse.quality.measures import measured_by_sql
from lakehouse.records.codes import BatchVerdict, CheckVerdict, Engine
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    SILVER_MONEY_EVENTS,
    SILVER_POLICIES,
    SILVER_QUALITY_BATCHES,
    SILVER_QUALITY_METRICS,
    SILVER_QUARANTINE_BATCH,
    SILVER_WARNINGS_BATCH,
)
from silver.build_batch import absorb, build_batch
from silver.contracts import contracts_of
from silver.gates import Gates
from tests.quality.builders import a_gate, a_row_rule, an_anomaly, write_rules
from tests.silver.deliveries import a_policy, deliver
from tests.silver.gated import (
    FIFTH,
    FOURTH,
    KIND,
    READABLE,
    SIXTH,
    THIRD,
    KilledError,
    MortalLakehouse,
    amounts,
    bad,
    batch,
    gated_lake,
    good,
    verdicts,
    versions,
    with_rules,
    without_tables,
)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Iterator[MortalLakehouse]:
    """A lake of this file; each test has a root and a landing of its own in it."""
    folder = tmp_path_factory.mktemp("gates")
    rules = folder / "quality"
    write_rules(
        rules,
        KIND,
        rows=[
            a_row_rule("no_dispute", "dispute_id IS NOT NULL"),
            a_row_rule("too_great", "amount < 5000", severity="quarantine"),
        ],
        gates=[
            a_gate("readable", measure=READABLE, over="delivered", at_least=0.5),
            a_gate("few", severity="warning", at_most=3),
        ],
        anomalies=[an_anomaly("usual", min_days=3, tolerance=1.0)],
    )
    with gated_lake(folder, spark, rules) as lake:
        yield lake


@pytest.fixture
def lake(shared: MortalLakehouse, tmp_path: Path) -> MortalLakehouse:
    """A lake without tables."""
    return without_tables(shared, tmp_path)


def test_a_bad_day_waits_and_later_good_days_go_on(lake: MortalLakehouse) -> None:
    deliver(lake, KIND, good(1, 2), day=THIRD)
    deliver(lake, KIND, [*good(3), *bad(4, 5)], day=FOURTH)
    deliver(lake, KIND, good(6), day=FIFTH)
    build_batch(lake)
    assert amounts(lake) == {1: [1000], 2: [1000], 6: [1000]}
    # nothing of the batch: not even its refusals
    assert lake.read(SILVER_QUARANTINE_BATCH).isEmpty()
    assert [verdicts(lake, day) for day in (THIRD, FOURTH, FIFTH)] == [
        ["PUBLISHED"], ["HELD"], ["PUBLISHED"],
    ]  # fmt: skip
    hold = Ledger.of(lake.read(SILVER_QUALITY_BATCHES)).hold_of(batch(FOURTH))
    assert hold is not None
    assert (hold.failed, hold.reason) == (
        ("readable",), "the figure: 0.333333, expected at least 0.5",
    )  # fmt: skip

    before = versions(lake)
    build_batch(lake)
    assert versions(lake) == before, "it waits as before, and nothing is written"

    deliver(lake, KIND, good(3, 4, 5), day=FOURTH, revision=1)
    build_batch(lake)
    assert amounts(lake).keys() == {1, 2, 3, 4, 5, 6}
    assert verdicts(lake, FOURTH) == ["HELD", "PUBLISHED"]


def test_a_bad_correction_leaves_the_last_good_rows_until_it_is_released(
    lake: MortalLakehouse,
) -> None:
    deliver(lake, KIND, good(1, 2, 3), day=THIRD)
    build_batch(lake)
    deliver(lake, KIND, [*good(1, amount="7"), *bad(2, 3)], day=THIRD, revision=1)
    build_batch(lake)
    assert amounts(lake) == {1: [1000], 2: [1000], 3: [1000]}

    before = versions(lake)
    lake.checkpoint.delete()
    build_batch(lake)
    assert versions(lake) == before, "without its position it holds the same, and writes nothing"

    with pytest.raises(BatchNotHeldError, match=r"date=2026-03-04.*held are .*date=2026-03-03"):
        build_batch(lake, release=batch(FOURTH), reason="why not")

    # it dies when money is published, and the verdict is not yet
    lake.dies_before.append(SILVER_WARNINGS_BATCH)
    with pytest.raises(KilledError):
        build_batch(lake, release=batch(THIRD), reason="the sender confirms it")
    lake.dies_before.clear()
    assert amounts(lake)[1] == [1000, 7]
    assert verdicts(lake, THIRD) == ["PUBLISHED", "HELD", "RELEASED"]
    build_batch(lake)
    assert amounts(lake) == {1: [1000, 7], 2: [1000, None], 3: [1000, None]}
    assert verdicts(lake, THIRD) == ["PUBLISHED", "HELD", "RELEASED", "PUBLISHED"]
    rows = lake.read(SILVER_QUALITY_BATCHES).where("verdict = 'PUBLISHED'").collect()
    assert {row["reason"] for row in rows} == {None, "the sender confirms it"}
    assert lake.read(SILVER_QUARANTINE_BATCH).count() == 2

    before = versions(lake)
    build_batch(lake)
    assert versions(lake) == before


def test_a_release_is_of_what_was_held_and_of_nothing_that_came_since(
    lake: MortalLakehouse,
) -> None:
    deliver(lake, KIND, bad(1), day=THIRD)
    build_batch(lake)
    deliver(lake, KIND, bad(2), day=THIRD, name="b.jsonl")
    build_batch(lake, release=batch(THIRD), reason="the first file is fine")
    assert verdicts(lake, THIRD) == ["HELD", "RELEASED", "HELD"]
    assert amounts(lake) == {}


def test_a_file_that_came_later_waits_alone(lake: MortalLakehouse) -> None:
    deliver(lake, KIND, good(1), day=THIRD)
    build_batch(lake)
    deliver(lake, KIND, bad(2, 3, 4), day=THIRD, name="b.jsonl")
    build_batch(lake)
    assert Ledger.of(lake.read(SILVER_QUALITY_BATCHES)).held_back == {
        (f"{batch(THIRD)}/b.jsonl", 0)
    }
    # what is published is not judged by what waits beside it
    deliver(lake, KIND, good(1, amount="5"), day=FOURTH)
    build_batch(lake)
    assert amounts(lake) == {1: [1000, 5]}


def test_each_row_names_the_rules_it_breaks(lake: MortalLakehouse) -> None:
    rows = [*good(1, dispute_id="d-1"), *good(2), *good(3, amount="5000"), *bad(4)]
    deliver(lake, KIND, rows, day=THIRD)
    build_batch(lake)
    assert amounts(lake).keys() == {1, 2}
    warnings = lake.read(SILVER_WARNINGS_BATCH).join(
        lake.read(SILVER_MONEY_EVENTS).select("coordinates", "event_id"), "coordinates"
    )
    found = [(row["event_id"][:8], row["rule_ids"], row["reasons"]) for row in warnings.collect()]
    assert found == [("00000002", ["no_dispute"], ["it is wrong"])]
    refused = lake.read(SILVER_QUARANTINE_BATCH).collect()
    assert sorted(row["rule_ids"] for row in refused) == [["amount_malformed"], ["too_great"]]


def test_a_day_unlike_the_days_before_is_held_once_enough_days_are_known(
    lake: MortalLakehouse,
) -> None:
    for number, day in enumerate((THIRD, FOURTH, FIFTH)):
        deliver(lake, KIND, good(number), day=day)
    build_batch(lake)
    deliver(lake, KIND, good(*range(10, 14)), day=SIXTH)
    build_batch(lake)
    metrics = {
        (row["delivery_date"], row["check_id"]): row
        for row in lake.read(SILVER_QUALITY_METRICS).collect()
    }
    usual = [metrics[day, "usual"] for day in (THIRD, FOURTH, FIFTH, SIXTH)]
    assert [row["verdict"] for row in usual] == [
        *[CheckVerdict.NO_HISTORY] * 3, CheckVerdict.FAILED,
    ]  # fmt: skip
    assert (usual[3]["value"], usual[3]["expected"]) == (4.0, "0 to 2")
    assert verdicts(lake, SIXTH) == [BatchVerdict.HELD]
    few = metrics[SIXTH, "few"]
    assert (few["verdict"], few["severity"]) == (CheckVerdict.FAILED, "warning")


def test_a_check_that_was_changed_is_not_compared_with_what_it_was(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    for number, day in enumerate((THIRD, FOURTH, FIFTH)):
        deliver(lake, KIND, good(number), day=day)
    lake.reads.clear()
    build_batch(lake)
    # once for all batches, and once to see what a run that died had written
    assert lake.reads[SILVER_QUALITY_METRICS.name] == 2
    mean = an_anomaly("usual", min_days=3, measure={"kind": "mean", "column": "amount"})
    changed = write_rules(tmp_path / "rules", KIND, anomalies=[mean]).parent
    deliver(lake, KIND, good(10), day=SIXTH)
    # 1000 on average is nothing beside one row a day: there is no history
    build_batch(with_rules(lake, changed))
    assert verdicts(lake, SIXTH) == [BatchVerdict.PUBLISHED]


def test_a_run_that_dies_behind_its_figures_leaves_each_once(lake: MortalLakehouse) -> None:
    deliver(lake, KIND, good(1), day=THIRD)
    deliver(lake, KIND, bad(2), day=FOURTH)
    lake.dies_before.append(SILVER_QUALITY_BATCHES)
    with pytest.raises(KilledError):
        build_batch(lake)
    written = lake.read(SILVER_QUALITY_METRICS).count()
    assert written == 6, "three checks of two batches"
    lake.dies_before.clear()
    build_batch(lake)
    assert lake.read(SILVER_QUALITY_METRICS).count() == written
    assert [verdicts(lake, day) for day in (THIRD, FOURTH)] == [["PUBLISHED"], ["HELD"]]


def test_what_is_loaded_while_a_run_judges_waits_for_its_own(lake: MortalLakehouse) -> None:
    deliver(lake, KIND, good(1), day=THIRD)
    deliver(lake, "policies", [a_policy("p", {"rule": "geo_block", "countries": ["KP"]})])
    gates = Gates.opened(lake, contracts_of(lake))
    came = lake.read(BRONZE_DROP_FILES).localCheckpoint()
    # between the micro-batch and whatever the run reads later: same batch, other day, other kind
    deliver(lake, KIND, [*good(1, amount="7"), *bad(2, 3, 5)], day=THIRD, name="b.jsonl")
    deliver(lake, KIND, bad(4), day=FOURTH)
    deliver(lake, "policies", [a_policy("q", "no JSON"), a_policy("r", {})], name="b.jsonl")
    absorb(lake, came, gates)
    assert amounts(lake) == {1: [1000]}
    assert [verdicts(lake, day) for day in (THIRD, FOURTH)] == [["PUBLISHED"], []]
    assert [row["policy_id"] for row in lake.read(SILVER_POLICIES).collect()] == ["p"]
    assert lake.read(SILVER_QUARANTINE_BATCH).isEmpty()

    later = lake.read(BRONZE_DROP_FILES).where("path LIKE '%b.jsonl' OR path LIKE '%-04/%'")
    absorb(lake, later, gates)
    assert amounts(lake) == {1: [1000]}
    assert [verdicts(lake, day) for day in (THIRD, FOURTH)] == [["PUBLISHED", "HELD"], ["HELD"]]
    assert lake.read(SILVER_QUARANTINE_BATCH).count() == 2, "the policies have no gate"


def test_a_rule_that_fails_on_a_row_holds_its_batch_alone_and_is_named(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    rules = tmp_path / "rules"
    fragile = [
        a_row_rule("fragile", "1 / (amount - 7) < 5", severity="quarantine"),
        a_row_rule("sound", "amount < 5000", severity="quarantine"),
    ]
    predicate = {"kind": "compliance", "predicate": "1 / (amount - 8) < 5"}
    write_rules(rules, KIND, rows=fragile, gates=[a_gate("share", measure=predicate)])
    lake = with_rules(lake, rules)
    deliver(lake, KIND, [*good(1, amount="7"), *good(2), *good(3, amount="6000")], day=THIRD)
    deliver(lake, KIND, [*good(4, amount="8"), *good(5)], day=FOURTH)
    deliver(lake, KIND, good(6), day=FIFTH)
    deliver(lake, "policies", [a_policy("p", {"rule": "geo_block", "countries": ["KP"]})])
    build_batch(lake)
    assert amounts(lake) == {6: [1000]}
    assert not lake.read(SILVER_POLICIES).isEmpty()
    ledger = Ledger.of(lake.read(SILVER_QUALITY_BATCHES))
    held = [ledger.hold_of(batch(day)) for day in (THIRD, FOURTH)]
    assert [(hold.failed, hold.reason) for hold in held if hold is not None] == [
        (("fragile",), "rule fragile cannot be computed of a row: DIVIDE_BY_ZERO"),
        (("share",), "the figure: compliance(1 / (amount - 8) < 5) cannot be computed: "
         "DIVIDE_BY_ZERO"),
    ]  # fmt: skip

    before = versions(lake)
    build_batch(lake)
    assert versions(lake) == before
    build_batch(lake, release=batch(THIRD), reason="the other rules are enough")
    assert amounts(lake).keys() == {1, 2, 6}
    refused = lake.read(SILVER_QUARANTINE_BATCH).collect()
    assert [row["rule_ids"] for row in refused] == [["sound"]]


def test_a_warning_is_of_a_row_that_was_published(lake: MortalLakehouse) -> None:
    deliver(lake, KIND, [*good(1), *bad(2, 3)], day=THIRD)
    build_batch(lake)
    deliver(lake, KIND, good(1, dispute_id="d-1"), day=THIRD, revision=1)
    build_batch(lake)
    assert verdicts(lake, THIRD) == ["HELD", "PUBLISHED"]
    assert lake.read(SILVER_WARNINGS_BATCH).isEmpty(), "the row that lacks a dispute never stood"


def test_without_deequ_what_sql_can_say_is_judged_and_the_rest_is_told_as_skipped(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    quantile = {"kind": "approx_quantile", "column": "amount", "quantile": 0.9}
    gates = [a_gate("many", at_least=2), a_gate("upper", measure=quantile, at_most=1)]
    rules = write_rules(tmp_path / "rules", KIND, gates=gates).parent
    lake = with_rules(lake, rules)
    deliver(lake, KIND, good(1), day=THIRD)
    deliver(lake, KIND, good(2, 3), day=FOURTH)
    without_deequ = replace(Gates.opened(lake, contracts_of(lake)), measured=measured_by_sql)
    told: list[tuple[str, Any]] = []

    def hear(event: str, fields: Any) -> bool:
        told.append((event, fields))
        return False

    with heard_by(hear):
        absorb(lake, lake.read(BRONZE_DROP_FILES), without_deequ)
    assert amounts(lake).keys() == {2, 3}
    assert [verdicts(lake, day) for day in (THIRD, FOURTH)] == [["HELD"], ["PUBLISHED"]]
    judged = [
        (row["check_id"], row["verdict"], row["engine"], row["value"])
        for row in lake.read(SILVER_QUALITY_METRICS)
        .where(F.col("batch") == batch(FOURTH))
        .collect()
    ]
    assert sorted(judged) == [
        ("many", CheckVerdict.PASSED, Engine.SQL, 2.0),
        ("upper", CheckVerdict.SKIPPED, Engine.SQL, None),
    ]
    skipped = [fields for event, fields in told if event == "check skipped"]
    assert [fields["table"] for fields in skipped] == [batch(THIRD), batch(FOURTH)]
    assert all("upper" in fields["reason"] for fields in skipped)


def test_a_bad_rule_file_stops_the_build_before_it_reads(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    file = write_rules(tmp_path / "rules", KIND, rows=[a_row_rule("odd", "amounts > 0")])
    wrong = with_rules(lake, file.parent)
    deliver(lake, KIND, good(1), day=THIRD)
    with pytest.raises(ConfigError, match=r"money_events\.yaml: rule odd: check: .*amounts"):
        build_batch(wrong)
    assert amounts(lake) == {}


def test_what_a_killed_run_published_of_a_batch_that_is_held_then_goes_back(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    deliver(lake, KIND, good(1, 2), day=THIRD)
    build_batch(lake)
    deliver(lake, KIND, good(1, 3, amount="7"), day=FOURTH)
    lake.dies_before.append(SILVER_QUALITY_METRICS)
    with pytest.raises(KilledError):
        build_batch(lake)
    lake.dies_before.clear()
    assert amounts(lake) == {1: [1000, 7], 2: [1000], 3: [7]}
    # before it runs again, somebody asks more of a batch
    gate = a_gate("many", at_least=3)
    stricter = with_rules(lake, write_rules(tmp_path / "rules", KIND, gates=[gate]).parent)
    build_batch(stricter)
    assert verdicts(lake, FOURTH) == ["HELD"]
    assert amounts(lake) == {1: [1000, 7, 1000], 2: [1000], 3: [7, None]}
    before = versions(lake)
    build_batch(stricter)
    assert versions(lake) == before
    build_batch(stricter, release=batch(FOURTH), reason="two are enough")
    assert amounts(lake) == {1: [1000, 7, 1000, 7], 2: [1000], 3: [7, None, 7]}


def test_a_run_that_dies_between_figures_and_verdicts_writes_each_figure_once(
    lake: MortalLakehouse,
) -> None:
    deliver(lake, KIND, good(1), day=THIRD)
    lake.dies_before.append(SILVER_QUALITY_BATCHES)
    with pytest.raises(KilledError):
        build_batch(lake)
    lake.dies_before.clear()
    figures = lake.read(SILVER_QUALITY_METRICS).count()
    assert figures > 0
    build_batch(lake)
    assert lake.read(SILVER_QUALITY_METRICS).count() == figures
    assert verdicts(lake, THIRD) == ["PUBLISHED"]


def test_a_file_that_is_loaded_while_the_build_runs_is_the_next_runs(
    lake: MortalLakehouse,
) -> None:
    deliver(lake, KIND, good(1), day=THIRD)
    began_with = lake.read(BRONZE_DROP_FILES).where(F.col("path").endswith("/a.jsonl"))
    deliver(lake, KIND, good(1, amount="7"), day=THIRD, revision=1)
    deliver(lake, KIND, bad(2, 3), day=FOURTH)
    first = began_with.where("file_revision = 0").where(F.col("delivery_date") == THIRD)
    gates = Gates.opened(lake, contracts_of(lake))
    absorb(lake, first, gates)
    assert amounts(lake) == {1: [1000]}
    absorb(lake, began_with.where("file_revision = 1"), gates)
    assert amounts(lake) == {1: [1000, 7]}
    absorb(lake, began_with.where(F.col("delivery_date") == FOURTH), gates)
    assert [verdicts(lake, day) for day in (THIRD, FOURTH)] == [["PUBLISHED"] * 2, ["HELD"]]


def test_a_rule_that_came_later_refuses_nothing_that_was_published(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    lenient = with_rules(lake, write_rules(tmp_path / "none", KIND).parent)
    deliver(lake, KIND, good(1, 2, amount="6000"), day=THIRD)
    deliver(lake, KIND, good(1, amount="5"), day=FOURTH)
    build_batch(lenient)
    assert amounts(lake) == {1: [5], 2: [6000]}
    # the later delivery has it no longer: what the earlier one said stands, though too great now
    deliver(lake, KIND, good(9), day=FOURTH, revision=1)
    build_batch(lake)
    assert amounts(lake) == {1: [5, 6000], 2: [6000], 9: [1000]}
    # what comes is judged by the rules of now
    deliver(lake, KIND, [*good(2, amount="6000"), *good(10)], day=FIFTH)
    build_batch(lake)
    assert amounts(lake)[2] == [6000]
    assert [row["rule_ids"] for row in lake.read(SILVER_QUARANTINE_BATCH).collect()] == [
        ["too_great"]
    ]


def test_what_was_refused_stays_so_when_its_rule_goes(
    lake: MortalLakehouse, tmp_path: Path
) -> None:
    deliver(lake, KIND, [*good(1, amount="6000"), *good(2)], day=THIRD)
    deliver(lake, KIND, good(1, amount="5"), day=FOURTH)
    build_batch(lake)
    assert amounts(lake) == {1: [5], 2: [1000]}
    lenient = with_rules(lake, write_rules(tmp_path / "none", KIND).parent)
    deliver(lake, KIND, good(9), day=FOURTH, revision=1)
    build_batch(lenient)
    assert amounts(lake) == {1: [5, None], 2: [1000], 9: [1000]}


def test_rows_that_go_through_are_counted_by_what_became_of_them(lake: MortalLakehouse) -> None:
    built: list[dict[str, int]] = []

    def hear(event: str, fields: Mapping[str, Any]) -> bool:
        if event == "built":
            built.append(fields["counts"])
        return False

    def counts(accepted: int, duplicates: int, refused: int) -> dict[str, int]:
        of = f"bronze.drops_{KIND}"
        return {
            f"{of} ACCEPTED": accepted, f"{of} DUPLICATE": duplicates, f"{of} REFUSED": refused,
        }  # fmt: skip

    with heard_by(hear):
        deliver(lake, KIND, [*good(1, 2), *bad(3)], day=THIRD)
        deliver(lake, KIND, [*good(4), *bad(5, 6)], day=FOURTH)
        build_batch(lake)
        # what a gate holds has still to go through
        assert built == [counts(accepted=2, duplicates=0, refused=1)]
        deliver(lake, KIND, good(1, 2, 7), day=FIFTH)
        build_batch(lake)
        assert built[1:] == [counts(accepted=1, duplicates=2, refused=0)]
        build_batch(lake)
        assert len(built) == 2, "nothing came"
        build_batch(lake, release=batch(FOURTH), reason="as agreed")
    assert built[2:] == [counts(accepted=1, duplicates=0, refused=2)]
