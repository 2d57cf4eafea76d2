"""What waits for a stream, from what lies in its checkpoint and from who answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from lakehouse.checkpoint import Checkpoint
from lakehouse.cli.topics import seen_now
from lakehouse.config import Config
from lakehouse.errors import BrokerUnreachableError

# as Delta 3.3 writes it: a source that has read nothing yet is a dash
OFFSETS = """v1
{"batchWatermarkMs":0,"batchTimestampMs":1764000000000,"conf":{}}
{"sourceVersion":1,"reservoirId":"table-a","reservoirVersion":3,"index":-1,"isStartingVersion":false}
-
{"sourceVersion":1,"reservoirId":"table-b","reservoirVersion":8,"index":-1,"isStartingVersion":false}
"""


def test_a_checkpoint_says_which_version_comes_next(spark: SparkSession, config: Config) -> None:
    checkpoint = Checkpoint(spark, config, "consolidate")
    assert (checkpoint.last_batch(), checkpoint.next_versions()) == (None, {})
    for folder, text in (("offsets", OFFSETS), ("commits", "v1\n{}")):
        (Path(checkpoint.path) / folder).mkdir(parents=True)
        (Path(checkpoint.path) / folder / "4").write_text(text)
    assert checkpoint.last_batch() == 4
    assert checkpoint.next_versions() == {"table-a": 3, "table-b": 8}


def test_a_broker_that_is_down_is_named(
    config: Config,
) -> None:
    down = config.kafka.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    with pytest.raises(BrokerUnreachableError):
        seen_now(down, down.topics.transactions)
