"""What load_drops logs of a run becomes figures of files, and of rows that came once more."""

from __future__ import annotations

from bronze.faults import Fault
from bronze.judging import deliveries
from bronze.landing import LandedFile
from bronze.manifest import Content, Judgement
from lakehouse.metrics.hearing import points_of
from lakehouse.metrics.points import Metric
from lakehouse.records.codes import DropFault
from tests.conftest import NOON

FILES, POLICIES = "bronze.drop_files", "bronze.drops_policies"
DAMAGED, OPEN = (
    Fault(fault, "so it is") for fault in (DropFault.DAMAGED, DropFault.UNFINISHED_DAY)
)


def a_judgement(name: str, rows: int = 0, fault: Fault | None = None) -> Judgement:
    path = f"policies/date=2026-03-08/{name}"
    return Judgement(
        LandedFile(path, f"file:/{path}", 10, 1000), Content(path, "A", 0), rows, fault
    )


def test_files_are_delivered_once_refused_or_once_more() -> None:
    again = [a_judgement("again", rows=70), a_judgement("once more", rows=7)]
    news = [*again, a_judgement("new", rows=9), a_judgement("cut", fault=DAMAGED),
            a_judgement("open", fault=OPEN)]  # fmt: skip
    line = {"job": "load_drops", "counts": {"loaded": 1, "touched": 2} | deliveries(again, news)}
    told: dict[tuple[Metric, str], float] = {}
    for each in points_of("drops", line, NOON):
        key = each.metric, each.subject
        told[key] = told.get(key, 0) + sum(value * n for value, n in each.values.items())
    assert told == {
        (Metric.DELIVERED, FILES): 4,
        (Metric.DUPLICATES, FILES): 2,
        (Metric.QUARANTINED, FILES): 1,
        (Metric.DELIVERED, POLICIES): 77,
        (Metric.DUPLICATES, POLICIES): 77,
    }
