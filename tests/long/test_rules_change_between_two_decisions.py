"""Where conf/decision.yaml changed between two decisions, that is a cause if it changed them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.context import Lakehouse
from lakehouse.decision import load_rules
from lakehouse.errors import PathsDifferError
from lakehouse.records.codes import ParityCause as Cause
from lakehouse.tables import SILVER_LIVE_TRANSACTIONS, SILVER_PARITY, SILVER_RULES
from silver.compare_paths import compare_paths
from tests.conftest import ROOT
from tests.silver.live_records import a_payment, a_score, an_id
from tests.silver.two_paths import TwoPaths, as_booked, as_fields, two_paths

DAY = "2026-03-09"
# 0.50 is suspicious by the rules of before alone; 0.95 and 0.10 mean the same by both
SCORES = {"in between": 0.5, "high": 0.95, "low": 0.1}


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of before, which called a lower score suspicious."""
    text = (ROOT / "conf" / "decision.yaml").read_text()
    file = tmp_path_factory.mktemp("rules") / "decision.yaml"
    file.write_text(text.replace("0.60", "0.40"))
    return file


@pytest.fixture
def paths(tmp_path: Path, spark: SparkSession, before: Path) -> Iterator[TwoPaths]:
    """Payments that live decided by the rules of before, and the log by those of now."""
    with two_paths(tmp_path, spark) as found:
        events = [a_payment(name, user_id=name) for name in (*SCORES, "late")]
        scores = [a_score(name, fraud_score=score) for name, score in SCORES.items()]
        by_before = replace(found, live=with_rules(found.live, before))
        by_before.decide(*events, *scores)
        found.deliver("transactions", [as_booked(event) for event in events])
        late = a_score("late", fraud_score=0.1)
        found.deliver("fraud_scores", [as_fields(score) for score in (*scores, late)])
        found.build()
        yield found


def test_rules_that_were_compared_by_before_explain_what_they_changed(
    paths: TwoPaths, before: Path
) -> None:
    compare_paths(with_rules(paths.parity, before), days="2026-01-01")  # the run of the day before
    paths.compare()
    assert {name: causes(paths, name) for name in (*SCORES, "late")} == {
        "in between": [Cause.RULES_CHANGED],
        "high": None,
        "low": None,
        "late": [Cause.LATE_SCORE],
    }


def test_rules_that_nobody_recorded_explain_nothing_until_their_file_is_named(
    paths: TwoPaths, before: Path
) -> None:
    with pytest.raises(PathsDifferError):
        paths.compare()
    assert paths.standing()[an_id("in between")]["unexplained"][-1:] == ["rules_version"]
    compare_paths(paths.parity, days=DAY, rules=before)
    assert causes(paths, "in between") == [Cause.RULES_CHANGED]
    recorded = {row["version"] for row in paths.parity.read(SILVER_RULES).collect()}
    now = paths.parity.config.rules.decision
    assert {load_rules(before).version, load_rules(now).version} < recorded


def test_a_change_of_rules_hides_no_decision_that_neither_gives(
    paths: TwoPaths, before: Path
) -> None:
    rows = paths.live.read(SILVER_LIVE_TRANSACTIONS)
    own = rows.where(F.col("transaction_id") == an_id("in between"))
    first = F.lit("00000000-0000-4000-8000-000000000000")
    forged = own.withColumns(
        {"event_id": first, "identity": first, "recommended_action": F.lit("BLOCK")}
    )
    paths.live.append(forged, SILVER_LIVE_TRANSACTIONS)
    with pytest.raises(PathsDifferError, match=an_id("in between")):
        compare_paths(paths.parity, days=DAY, rules=before)
    found = paths.standing()[an_id("in between")]
    assert "recommended_action" in found["unexplained"]
    assert str(Cause.RULES_CHANGED) not in found["causes"]


def test_a_row_tells_by_which_versions_it_was_compared(paths: TwoPaths, before: Path) -> None:
    compare_paths(paths.parity, days=DAY, rules=before)
    read = paths.parity.read(SILVER_PARITY).first()
    assert read is not None
    assert read["read_versions"]["silver.live_transactions"] == 1
    assert read["read_versions"].keys() >= {"silver.batch_transactions", "silver.policies"}


def with_rules(lake: Lakehouse, file: Path) -> Lakehouse:
    """The same lakehouse with another conf/decision.yaml."""
    rules = lake.config.rules.model_copy(update={"decision": str(file)})
    return replace(lake, config=lake.config.model_copy(update={"rules": rules}))


def causes(paths: TwoPaths, name: str) -> list[str] | None:
    """Of the standing difference of a payment; null where there is none."""
    found = paths.standing().get(an_id(name))
    return list(found["causes"]) if found else None
