"""Whatever is delivered lands once, and a second reader of the topic proves it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from delta.tables import DeltaTable
from pyspark.sql import functions as F

from bronze.ingest_fraud_scores import ingest_fraud_scores
from bronze.ingest_transactions import ingest_transactions
from lakehouse.cli.offsets import Delivered, Landed, PartitionProof, proof_of, prove_offsets
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.delta import path_of
from lakehouse.intervals import Interval
from lakehouse.tables import BRONZE_TRANSACTIONS
from tests.bronze.topics import TestTopic
from tests.conftest import LOCAL, addresses, in_folder, override

ODD = (
    b"",
    None,
    b"\xff\xfe not UTF-8",
    b"[" * 100_000 + b"]" * 100_000,
    b'{"note":"' + b"x" * 20_000_000 + b'"}',
)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, services: Config) -> Config:
    """A lake and topics of this test alone."""
    names = {"KAFKA__TOPICS__TRANSACTIONS": f"payments-{uuid4().hex[:8]}"}
    override(monkeypatch, {**in_folder(tmp_path), **addresses(services), **names})
    return Config.load(LOCAL)


@pytest.fixture
def topic(config: Config) -> TestTopic:
    """The topic of payments, empty."""
    topic = TestTopic(config)
    topic.create()
    return topic


def proof(lake: Lakehouse) -> PartitionProof:
    """The proof of the one partition of the topic of payments."""
    return prove_offsets(lake.spark, lake.config)[0]


def test_whatever_is_delivered_lands_once_and_each_offset_is_proven(
    topic: TestTopic, lake_for: Callable[[str], Lakehouse]
) -> None:
    topic.send(*ODD, key=b"k", headers=[("trace", b"\x00\x01"), ("none", None)])
    topic.send_in_transaction(b"committed", commit=True)
    topic.send_in_transaction(b"aborted", commit=False)
    topic.send(b"last")
    lake = lake_for("ingest_transactions")
    for _ in range(2):
        ingest_transactions(lake).awaitTermination()
    ingest_fraud_scores(lake_for("ingest_fraud_scores")).awaitTermination()

    landed = lake.read(BRONZE_TRANSACTIONS).orderBy("offset").collect()
    assert [row.value for row in landed] == [*ODD, b"committed", b"last"]
    assert [bytes(row.key) for row in landed[: len(ODD)]] == [b"k"] * len(ODD)
    assert [(h.key, h.value) for h in landed[0].headers] == [("trace", b"\x00\x01"), ("none", None)]
    found = proof(lake)
    assert found.holds
    assert (found.delivered, found.landed, found.waiting) == (7, 7, 0)
    # a marker behind the committed record; the aborted record and its marker
    assert list(found.gaps) == [Interval(6, 8)]

    topic.send(b"not read yet")
    assert (proof(lake).holds, proof(lake).waiting) == (True, 1)

    path = path_of(lake.config, BRONZE_TRANSACTIONS)
    lake.append(lake.read(BRONZE_TRANSACTIONS).where("offset = 5"), to=BRONZE_TRANSACTIONS)
    lake.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('delta.appendOnly' = 'false')")
    DeltaTable.forPath(lake.spark, path).delete(F.col("offset") == 3)
    broken = proof(lake)
    assert not broken.holds
    assert list(broken.missing) == [Interval(3, 3)]
    assert list(broken.doubled) == [Interval(5, 5)]


def intervals(*pairs: tuple[int, int]) -> list[Interval]:
    """Those intervals."""
    return [Interval(*pair) for pair in pairs]


@pytest.mark.parametrize(
    ("delivered", "landed", "position", "expected"),
    [
        ((0, 10, [(0, 9)]), [(0, 9)], 10, {}),
        ((0, 10, [(0, 9)]), [(0, 6)], 7, {"waiting": 3}),
        # without a checkpoint, what is behind the last that landed waits
        ((0, 10, [(0, 9)]), [(0, 2), (4, 6)], None, {"missing": [(3, 3)], "waiting": 3}),
        ((0, 10, [(0, 9)]), [(0, 6)], 10, {"missing": [(7, 9)]}),
        # let go by retention: those that landed stand for themselves, the others are gaps
        ((5, 10, [(5, 9)]), [(2, 9)], 10, {"gaps": [(0, 1)]}),
        ((0, 10, [(0, 3), (5, 8)]), [(0, 3), (5, 8)], 10, {"gaps": [(4, 4), (9, 9)]}),
        # an aborted record that landed, and one that the topic never had
        ((0, 10, [(0, 3), (5, 9)]), [(0, 9)], 10, {"unknown": [(4, 4)]}),
        ((0, 10, [(0, 9)]), [(0, 11)], 12, {"unknown": [(10, 11)]}),
    ],
)  # fmt: skip
def test_a_partition_is_compared_offset_by_offset(
    delivered: tuple[int, int, list[tuple[int, int]]],
    landed: list[tuple[int, int]],
    position: int | None,
    expected: dict[str, object],
) -> None:
    start, end, seen = delivered
    found = proof_of(
        "t", 0, Delivered(start, end, intervals(*seen)), Landed(intervals(*landed)), position
    )
    named = {"missing": [], "doubled": [], "unknown": [], "gaps": [], "waiting": 0} | expected
    assert {name: getattr(found, name) for name in named} == named
    assert found.holds == (not named["missing"] and not named["unknown"])


def test_a_compacted_topic_forgets_what_has_landed() -> None:
    seen = Delivered(0, 10, intervals((0, 3), (9, 9)))
    found = proof_of("t", 0, seen, Landed(intervals((0, 9))), 10, compacted=True)
    assert found.holds
