"""Bronze says where a topic goes on: damaged and old checkpoints, retention, another topic."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bronze.ingest_fraud_scores import ingest_fraud_scores
from bronze.ingest_transactions import ingest_transactions
from lakehouse.cli.offsets import prove_offsets
from lakehouse.context import Lakehouse
from lakehouse.errors import RecordsLostError, WrongRangeError
from lakehouse.tables import BRONZE_LOSSES_TRANSACTIONS, BRONZE_TRANSACTIONS
from tests.bronze.test_prove_offsets import config, topic
from tests.bronze.topics import TestTopic

__all__ = ["config", "topic"]  # fixtures

Opener = Callable[[str], Lakehouse]


def ingested(lake: Lakehouse, *accept_loss: str) -> list[str]:
    """Run the job once; what Bronze holds then, in the order of its offsets by topic."""
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


def proven(lake_for: Opener) -> bool:
    """Whether each offset of both topics is in Bronze once."""
    lake = lake_for("ingest_fraud_scores")
    ingest_fraud_scores(lake).awaitTermination()
    return all(proof.holds for proof in prove_offsets(lake.spark, lake.config))


@pytest.mark.parametrize("content", ["", "v1\n", 'v1\n{"batch'], ids=["empty", "short", "torn"])
def test_a_damaged_checkpoint_is_set_aside_and_nothing_is_doubled(
    topic: TestTopic, lake_for: Opener, content: str
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a", b"b")
    assert ingested(lake) == ["a", "b"]
    checkpoint = Path(lake.checkpoint.path)
    (checkpoint / "offsets" / "0").write_text(content)
    (checkpoint / "offsets" / ".0.crc").unlink(missing_ok=True)
    topic.send(b"c")
    assert ingested(lake) == ["a", "b", "c"]
    assert ingested(lake) == ["a", "b", "c"]
    (aside,) = checkpoint.parent.glob("ingest_transactions.until-*")
    assert (aside / "offsets" / "0").read_text() == content
    assert proven(lake_for)


def test_an_older_checkpoint_loses_nothing_and_doubles_nothing(
    topic: TestTopic, lake_for: Opener, tmp_path: Path
) -> None:
    lake = lake_for("ingest_transactions")
    topic.send(b"a")
    ingested(lake)
    checkpoint = Path(lake.checkpoint.path)
    shutil.copytree(checkpoint, tmp_path / "backup")
    topic.send(b"b")
    ingested(lake)
    shutil.rmtree(checkpoint)
    shutil.copytree(tmp_path / "backup", checkpoint)
    # the next batch has the number of the one that brought b, and other content
    topic.send(b"c")
    assert ingested(lake) == ["a", "b", "c"]
    assert proven(lake_for)


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
    assert "run ingest_transactions --accept-loss 0:2-3" in str(stopped.value)
    assert losses(lake) == [(0, 2, 3, "EXPIRED", False)]
    with pytest.raises(WrongRangeError, match="lost is 0:2-3"):
        ingested(lake, "0:2-4")
    assert ingested(lake, "0:2-3") == ["a", "b", "e"]
    assert losses(lake) == [(0, 2, 3, "EXPIRED", False), (0, 2, 3, "EXPIRED", True)]
    with pytest.raises(WrongRangeError, match="nothing is lost"):
        ingested(lake, "0:2-3")
    topic.send(b"f")
    assert ingested(lake) == ["a", "b", "e", "f"]
    assert proven(lake_for)


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
    topic.send(b"x", b"y", b"z")
    with pytest.raises(RecordsLostError, match=r"deleted and created again.* 0:2- "):
        ingested(lake)
    assert ingested(lake, "0:2-") == ["a", "b", "x", "y", "z"]
    topic.send(b"w")
    assert ingested(lake) == ["a", "b", "x", "y", "z", "w"]
    assert losses(lake)[-1] == (0, 2, None, "RECREATED", True)
    assert proven(lake_for)
