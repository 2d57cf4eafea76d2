"""Whatever is delivered lands once, and Bronze says where a topic goes on, come what may."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from delta.tables import DeltaTable
from pyspark.errors import StreamingQueryException
from pyspark.sql import functions as F
from typer.testing import CliRunner

from bronze.ingest_fraud_scores import ingest_fraud_scores
from bronze.ingest_transactions import ingest_transactions
from lakehouse.cli import app
from lakehouse.cli.offsets import PartitionProof, prove_offsets
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import path_of
from lakehouse.errors import (
    OffsetsDifferError,
    RecordsLostError,
    TopicReplacedError,
    WrongRangeError,
)
from lakehouse.intervals import Interval
from lakehouse.tables import BRONZE_LOSSES_TRANSACTIONS, BRONZE_TRANSACTIONS
from tests.conftest import LOCAL
from tests.topics import TestTopic

ODD = (
    b"",
    None,
    b"\xff\xfe not UTF-8",
    b"[" * 100_000 + b"]" * 100_000,
    b'{"note":"' + b"x" * 20_000_000 + b'"}',
)
Opener = Callable[[str], Lakehouse]


@pytest.fixture
def config(served: Config) -> Config:
    """The lake of these tests is on the real services."""
    return served


def ingested(lake: Lakehouse, *accept_loss: str) -> list[str]:
    """Run the job once; what Bronze holds then, in the order in which it was produced."""
    ingest_transactions(lake, accept_loss=list(accept_loss)).awaitTermination()
    rows = lake.read(BRONZE_TRANSACTIONS).orderBy("timestamp", "offset").collect()
    return [row.value.decode() for row in rows]


def losses(lake: Lakehouse) -> list[tuple[int, int, int | None, str, bool]]:
    """What is recorded as lost."""
    rows = lake.read(BRONZE_LOSSES_TRANSACTIONS).orderBy("found_at", "accepted_at").collect()
    return [
        (r.partition, r.first_offset, r.last_offset, r.reason, r.accepted_at is not None)
        for r in rows
    ]


def proof(lake: Lakehouse) -> PartitionProof:
    """The proof of the one partition of the topic of payments."""
    scores = replace(lake, job="ingest_fraud_scores")
    ingest_fraud_scores(scores).awaitTermination()  # both topics are proven
    return prove_offsets(lake.spark, lake.config)[0]


def test_whatever_is_delivered_lands_once_and_each_offset_is_proven(
    topic: TestTopic, lake_for: Opener
) -> None:
    topic.send(*ODD, key=b"k", headers=[("trace", b"\x00\x01"), ("none", None)])
    topic.send_in_transaction(b"committed", commit=True)
    topic.send_in_transaction(b"aborted", commit=False)
    topic.send(b"last")
    lake = lake_for("ingest_transactions")
    for _ in range(2):
        ingest_transactions(lake).awaitTermination()

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
    told = CliRunner().invoke(app, ["prove", "offsets", "--config", str(LOCAL)])
    assert isinstance(told.exception, OffsetsDifferError)
    assert f"{topic.name}/0: missing 3, doubled 5" in str(told.exception)


def torn(checkpoint: Path) -> None:
    """Leave half of its newest offsets."""
    newest = max((checkpoint / "offsets").glob("[0-9]*"))
    newest.write_bytes(newest.read_bytes()[:-20])


def older(checkpoint: Path) -> None:
    """Put back what it was before anything was read."""
    shutil.rmtree(checkpoint / "offsets")
    shutil.rmtree(checkpoint / "commits")


@pytest.mark.parametrize("harm", [torn, older, shutil.rmtree], ids=lambda harm: harm.__name__)
def test_whatever_becomes_of_the_checkpoint_nothing_is_lost_or_doubled(
    topic: TestTopic, lake_for: Opener, harm: Callable[[Path], None]
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a", b"b")
    assert ingested(lake) == ["a", "b"]
    harm(Path(lake.checkpoint.path))
    topic.send(b"c")
    assert ingested(lake) == ["a", "b", "c"]
    assert ingested(lake) == ["a", "b", "c"]
    assert proof(lake).holds


def test_a_checkpoint_that_is_ahead_of_bronze_loses_nothing(
    topic: TestTopic, lake_for: Opener, tmp_path: Path
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a")
    ingested(lake)
    tables = Path(lake.config.lake.tables)
    shutil.copytree(tables, tmp_path / "backup")
    topic.send(b"b")
    ingested(lake)
    shutil.rmtree(tables)
    shutil.copytree(tmp_path / "backup", tables)
    jvm: Any = lake.spark._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()  # as a new process begins
    topic.send(b"c")
    assert ingested(lake) == ["a", "b", "c"]
    assert proof(lake).holds


def test_records_that_expired_stop_the_job_until_somebody_goes_on_without_them(
    topic: TestTopic, lake_for: Opener
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a", b"b")
    ingested(lake)
    topic.send(b"c", b"d", b"e")
    topic.expire_before(4)
    for _ in range(2):
        with pytest.raises(RecordsLostError, match="0:2-3") as stopped:
            ingested(lake)
    assert "add to this run of ingest_transactions: --accept-loss 0:2-3" in str(stopped.value)
    assert proof(lake).lost == [(2, 3)]
    assert losses(lake) == [(0, 2, 3, "EXPIRED", False)]
    with pytest.raises(WrongRangeError, match="lost is 0:2-3"):
        ingested(lake, "0:2-4")
    assert ingested(lake, "0:2-3") == ["a", "b", "e"]
    assert losses(lake) == [(0, 2, 3, "EXPIRED", False), (0, 2, 3, "EXPIRED", True)]
    topic.send(b"f")
    # a supervisor starts it again with the same words
    assert ingested(lake, "0:2-3") == ["a", "b", "e", "f"]
    with pytest.raises(WrongRangeError, match="nothing is lost"):
        ingested(lake, "0:9-9")
    assert proof(lake).holds


def test_what_expired_with_nothing_behind_it_is_accepted_once(
    topic: TestTopic, lake_for: Opener
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a")
    ingested(lake)
    topic.send(b"b")
    topic.expire_before(2)
    assert ingested(lake, "0:1-1") == ["a"]
    assert ingested(lake) == ["a"]
    topic.send(b"c")
    assert ingested(lake) == ["a", "c"]


def test_another_topic_of_the_same_name_is_never_taken_for_the_first(
    topic: TestTopic, lake_for: Opener
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a", b"b")
    ingested(lake)
    topic.recreate()
    with pytest.raises(RecordsLostError, match=r"deleted and created again.* 0:2- "):
        ingested(lake)
    assert ingested(lake, "0:2-") == ["a", "b"]
    assert ingested(lake) == ["a", "b"]
    topic.send(b"x", b"y", b"z")
    assert ingested(lake) == ["a", "b", "x", "y", "z"]
    assert losses(lake)[-1] == (0, 2, None, "RECREATED", True)
    assert proof(lake).holds


def test_a_topic_that_is_replaced_while_the_job_runs_stops_it(
    topic: TestTopic, lake_for: Opener
) -> None:
    lake = replace(lake_for("ingest_transactions"), trigger=Trigger("continuous", 1))
    topic.send(b"a")
    query = ingest_transactions(lake)
    query.processAllAvailable()
    topic.recreate()
    topic.send(*[b"x"] * 50)
    with pytest.raises(StreamingQueryException):
        query.awaitTermination()
    assert isinstance(lake.faults[-1], TopicReplacedError)
