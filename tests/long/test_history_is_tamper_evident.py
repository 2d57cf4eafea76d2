"""Whatever is changed behind the follower is found and named: files, chain, history, heads."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from gold.chain import GENESIS, hash_of, links_of
from gold.head import signed, written
from gold.prove_history import prove_history
from gold.record_history import record_history
from lakehouse.config import Config
from lakehouse.context import Lakehouse, Trigger
from lakehouse.delta import path_of
from lakehouse.errors import HeadContradictsError, HistoryBrokenError, TableNotFoundError
from lakehouse.lease import held_lease
from lakehouse.records.gold import ChainLink
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    Table,
)
from tests.cli.processes import lakehouse
from tests.conftest import LOCAL, in_folder, override
from tests.faults.world import FIRST_SEED
from tests.gold.busy import busy

Opener = Callable[[str], Lakehouse]


@dataclass(frozen=True)
class Recorded:
    """A lake of its own with a recorded Gold, open as record_history."""

    lake: Lakehouse
    heads: Path

    @property
    def gold(self) -> Path:
        """Where Gold lies."""
        return Path(path_of(self.lake.config, GOLD_TRANSACTIONS))

    @property
    def links(self) -> list[ChainLink]:
        """The chain."""
        return links_of(self.lake.read(GOLD_HISTORY_CHAIN))

    def replace_chain(self, links: Sequence[ChainLink]) -> None:
        """Put another chain in its place, as whoever may write the tables could."""
        rows = [link.model_dump() for link in links]
        self.replace(GOLD_HISTORY_CHAIN,
                     self.lake.spark.createDataFrame(rows, GOLD_HISTORY_CHAIN.schema))  # fmt: skip

    def replace(self, table: Table, rows: DataFrame) -> None:
        """Put other rows in the place of a table."""
        kept = self.lake.spark.createDataFrame(rows.collect(), table.schema)
        rmtree(path_of(self.lake.config, table))
        _forget(self.lake.spark)
        self.lake.append(kept, table)

    def breaks(self) -> list[str]:
        """What the proof finds."""
        _forget(self.lake.spark)
        with pytest.raises(HistoryBrokenError) as broken:
            prove_history(self.lake)
        return list(broken.value.breaks)


@pytest.fixture(scope="module")
def template(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A busy Gold, recorded in three runs."""
    print(f"replay with LAKEHOUSE_TEST_SEED={FIRST_SEED}")
    folder, rng = tmp_path_factory.mktemp("recorded"), random.Random(FIRST_SEED)
    with pytest.MonkeyPatch.context() as patch, ExitStack() as held:
        override(patch, in_folder(folder))
        gold, history = (
            _opened(Config.load(LOCAL), spark, job, held)
            for job in ("consolidate", "record_history")
        )
        for _ in range(3):
            busy(gold, rng, merges=3)
            record_history(history)
    return folder


@pytest.fixture
def recorded(
    template: Path, spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Recorded]:
    """A copy of it."""
    copytree(template, tmp_path, dirs_exist_ok=True)
    override(monkeypatch, in_folder(tmp_path))
    with ExitStack() as held:
        lake = _opened(Config.load(LOCAL), spark, "record_history", held)
        yield Recorded(lake, tmp_path / "heads")


def test_what_nobody_touched_holds(recorded: Recorded, capsys: pytest.CaptureFixture[str]) -> None:
    report = prove_history(recorded.lake, as_json=True)
    newest = recorded.links[-1].gold_version
    assert (report.complete_through, report.links, report.heads) == (newest, newest + 1, 3)
    said = json.loads(capsys.readouterr().out)
    assert (said["complete_through"], said["breaks"]) == (newest, [])
    assert report.files >= sum(len(link.added) for link in recorded.links) > 3


def test_a_question_creates_no_table(lake_for: Opener) -> None:
    with pytest.raises(TableNotFoundError, match="lakehouse run record_history"):
        prove_history(lake_for("prove_history"))


def test_one_byte_of_the_change_feed(recorded: Recorded) -> None:
    files = [(one.gold_version, file.path) for one in recorded.links for file in one.added]
    version, path = next(each for each in files if each[1].startswith("_change_data/"))
    file = recorded.gold / path
    file.write_bytes(file.read_bytes() + b"!")
    assert recorded.breaks() == [f"version {version} added {path}, which holds other bytes now"]


@pytest.mark.parametrize("is_live", [True, False], ids=["live", "removed within the horizon"])
def test_one_byte_of_a_data_file(recorded: Recorded, is_live: bool) -> None:
    version, path = _a_file(recorded, is_live)
    file = recorded.gold / path
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert recorded.breaks() == [f"version {version} added {path}, which holds other bytes now"]


@pytest.mark.parametrize("is_live", [True, False])
def test_a_data_file_that_is_gone(recorded: Recorded, is_live: bool) -> None:
    version, path = _a_file(recorded, is_live)
    (recorded.gold / path).unlink()
    what = "live" if is_live else "still in the time-travel horizon"
    assert recorded.breaks() == [f"version {version} added {path}, which is {what} and gone"]


def test_a_version_dropped_from_the_chain(recorded: Recorded) -> None:
    links = recorded.links
    recorded.replace_chain(links[:2] + links[3:])
    assert recorded.breaks()[:2] == [
        "version 3 stands where version 2 should",
        "version 3 does not follow from the link before it",
    ]


def test_a_version_dropped_from_the_log_of_gold(recorded: Recorded) -> None:
    (recorded.gold / "_delta_log" / f"{2:020d}.json").unlink()
    assert "version 2 is gone from Delta's log" in recorded.breaks()


def test_a_commit_changed_in_the_log_of_gold(recorded: Recorded) -> None:
    commit = recorded.gold / "_delta_log" / f"{2:020d}.json"
    # whoever changes a file changes Hadoop's checksum beside it, too
    (commit.parent / f".{commit.name}.crc").unlink(missing_ok=True)
    commit.write_text(commit.read_text().replace("Apache-Spark", "Another-Spark"))
    assert recorded.breaks() == ["version 2 is another commit in Delta's log"]


def test_two_versions_that_changed_places(recorded: Recorded) -> None:
    links = recorded.links
    numbers = {2: 3, 3: 2}
    recorded.replace_chain([
        one.model_copy(update={"gold_version": numbers.get(one.gold_version, one.gold_version)})
        for one in links
    ])  # fmt: skip
    found = recorded.breaks()
    assert {"version 2 differs from its hash", "version 3 differs from its hash"} <= set(found)


@pytest.mark.parametrize("signs", [False, True], ids=["heads as they are", "with a key of its own"])
def test_a_chain_rewritten_as_a_whole(recorded: Recorded, signs: bool) -> None:
    links, newest = recorded.links, recorded.links[-1].gold_version
    forged = _rewritten(links, {4: {"operation": "WRITE"}})
    recorded.replace_chain(forged)
    if signs:
        for one in forged:
            path = recorded.heads / f"{one.gold_version:020d}.json"
            if path.exists():
                path.unlink()
                path.write_bytes(written(signed(_table_id(recorded), one, b"a key of its own")))
    found = recorded.breaks()
    what = "its head is not signed by this key" if signs else "is not the link that was signed"
    assert f"version {newest} {what}" in found
    # and the follower does not vouch for it by going on
    busy(recorded.lake, random.Random(1), merges=1)
    with pytest.raises(HeadContradictsError, match=f"version {newest}: {what}"):
        record_history(recorded.lake)
    assert recorded.links == forged


def test_heads_that_are_gone(recorded: Recorded) -> None:
    newest = recorded.links[-1].gold_version
    (recorded.heads / f"{newest:020d}.json").unlink()
    assert recorded.breaks() == [f"version {newest} ends the chain, and no head was signed of it"]
    busy(recorded.lake, random.Random(1), merges=1)
    with pytest.raises(HeadContradictsError, match="no head was signed"):
        record_history(recorded.lake)


def test_an_end_cut_off_is_found_and_grows_again_as_it_was(recorded: Recorded) -> None:
    links = recorded.links
    heads = sorted(int(path.stem) for path in recorded.heads.glob("*.json"))
    recorded.replace_chain([one for one in links if one.gold_version <= heads[-2]])
    (cut,) = recorded.breaks()
    assert cut.startswith(f"version {heads[-1]} was signed, but is not in the chain")
    record_history(recorded.lake)
    assert recorded.links == links
    assert prove_history(recorded.lake).breaks == []


def test_a_row_of_history_that_says_something_else(recorded: Recorded) -> None:
    history = recorded.lake.read(GOLD_TRANSACTION_HISTORY)
    first = history.orderBy("gold_version", "transaction_id").first()
    assert first is not None
    version, transaction = first["gold_version"], first["transaction_id"]
    is_it = (F.col("gold_version") == version) & (F.col("transaction_id") == transaction)
    changed = history.withColumn("country", F.when(is_it, "FR").otherwise(F.col("country")))
    recorded.replace(GOLD_TRANSACTION_HISTORY, changed)
    assert recorded.breaks() == [
        f"version {version} has other rows of history than those that were chained"
    ]


def test_a_row_of_history_that_is_gone_or_there_twice(recorded: Recorded) -> None:
    history = recorded.lake.read(GOLD_TRANSACTION_HISTORY)
    rows = history.orderBy("gold_version", "transaction_id")
    first, version = rows.limit(1), rows.collect()[0]["gold_version"]
    recorded.lake.append(first, GOLD_TRANSACTION_HISTORY)
    (twice,) = recorded.breaks()
    assert twice.startswith(f"version {version} changed ")


def test_a_checkpoint_of_the_log_that_hides_a_file(recorded: Recorded) -> None:
    _, path = _a_file(recorded, is_live=True)
    newest = recorded.links[-1].gold_version
    _checkpoint_without(recorded, newest, path)
    found = recorded.breaks()
    assert found[0] == (f"version {newest} is read without {Path(path).name}, which the chain has")
    assert any("left" in each and "and Gold has" in each for each in found[1:])


def test_the_command_names_each_break_and_fails(recorded: Recorded) -> None:
    sound = lakehouse("prove", "history")
    assert (sound.returncode, "everything holds" in sound.stdout) == (0, True), sound.stderr
    version, path = _a_file(recorded, is_live=True)
    (recorded.gold / path).unlink()
    broken = lakehouse("prove", "history")
    assert broken.returncode == 1
    assert f"version {version} added {path}" in broken.stdout
    assert broken.stderr.splitlines()[-1].startswith("error: the history of Gold does not hold")
    assert "payer-1" not in broken.stdout + broken.stderr


def _a_file(recorded: Recorded, is_live: bool) -> tuple[int, str]:
    """A data file with the version that added it."""
    links = recorded.links
    removed = {path for one in links for path in one.removed}
    files = [(one.gold_version, file.path) for one in links for file in one.added]
    data = [each for each in files if not each[1].startswith("_change_data/")]
    return next(each for each in data if (each[1] not in removed) is is_live)


def _rewritten(links: Sequence[ChainLink], changes: dict[int, dict[str, Any]]) -> list[ChainLink]:
    """A chain that is consistent in itself, with other things in it."""
    chain: list[ChainLink] = []
    for one in links:
        said = changes.get(one.gold_version, {})
        previous = chain[-1].hash if chain else GENESIS
        unhashed = one.model_copy(update=said | {"previous_hash": previous})
        chain.append(unhashed.model_copy(update={"hash": hash_of(unhashed)}))
    return chain


def _table_id(recorded: Recorded) -> str:
    (first, *_) = sorted(recorded.heads.glob("*.json"))
    return str(json.loads(first.read_text())["table_id"])


def _checkpoint_without(recorded: Recorded, version: int, path: str) -> None:
    """Sum the log up in a checkpoint that leaves a file out, as a forger would."""
    spark, log = recorded.lake.spark, recorded.gold / "_delta_log"
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.forTable(
        spark._jsparkSession, str(recorded.gold)
    ).checkpoint()
    checkpoint = log / f"{version:020d}.checkpoint.parquet"
    assert checkpoint.exists()
    forged = recorded.gold.parent / "forged"
    kept = spark.read.parquet(str(checkpoint)).where(f"add IS NULL OR add.path <> '{path}'")
    kept.coalesce(1).write.parquet(str(forged))
    (part,) = forged.glob("part-*.parquet")
    part.replace(checkpoint)
    # Delta's and Hadoop's sums of what was there before
    for stale in log.glob("*.crc"):
        stale.unlink()


def _forget(spark: SparkSession) -> None:
    """Delta keeps what it has read of a log; another process would not have it."""
    jvm: Any = spark.sparkContext._jvm
    jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()


def _opened(config: Config, spark: SparkSession, job: str, held: ExitStack) -> Lakehouse:
    lease = held.enter_context(held_lease(config, job))
    now = datetime.now(UTC)
    return Lakehouse(config, spark, job, Trigger("once", 1), lease, lambda: now)
