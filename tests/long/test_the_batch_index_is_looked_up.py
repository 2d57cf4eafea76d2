"""Files of the Batch Index: few, and each says which transactions it cannot hold."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.delta import path_of
from lakehouse.tables import SILVER_BATCH_TRANSACTIONS
from silver.build_batch import build_batch
from tests.long.test_build_batch import MortalLakehouse, empty_lake
from tests.silver.deliveries import a_log_row, deliver, transaction_id

PAYMENTS, MOST = 60, 10
MOST_RECORDS = "spark.sql.files.maxRecordsPerFile"


@pytest.fixture(scope="module")
def lake(
    tmp_path_factory: pytest.TempPathFactory, spark: SparkSession
) -> Iterator[MortalLakehouse]:
    """Sixty payments of one day in two regions, at most ten of them in a file."""
    usual = spark.conf.get(MOST_RECORDS)
    with empty_lake(tmp_path_factory.mktemp("files"), spark) as lake:
        spark.conf.set(MOST_RECORDS, MOST)
        # the greatest comes first: in no order would the files overlap
        rows = [a_log_row(n, country=("DE", "US")[n % 2]) for n in reversed(range(PAYMENTS))]
        deliver(lake, "transactions", rows[::3] + rows[1::3] + rows[2::3])
        try:
            build_batch(lake)
        finally:
            spark.conf.set(MOST_RECORDS, str(usual))
        yield lake


def added(lake: MortalLakehouse) -> dict[str, list[dict[str, Any]]]:
    """What Delta's log says of the files of each partition."""
    log = Path(path_of(lake.config, SILVER_BATCH_TRANSACTIONS), "_delta_log")
    found = defaultdict(list)
    for commit in sorted(log.glob("*.json")):
        for line in commit.read_text("utf-8").splitlines():
            if add := json.loads(line).get("add"):
                partition = "/".join(add["partitionValues"].values())
                found[partition].append(json.loads(add["stats"]))
    return found


def test_a_partition_has_as_few_files_as_its_rows_allow(lake: MortalLakehouse) -> None:
    counts = {name: [file["numRecords"] for file in files] for name, files in added(lake).items()}
    assert counts == {"2026-03-02/EU": [MOST] * 3, "2026-03-02/NORTH_AMERICA": [MOST] * 3}


def test_no_two_files_of_a_partition_can_hold_one_transaction(lake: MortalLakehouse) -> None:
    for files in added(lake).values():
        spans = sorted(
            (file["minValues"]["transaction_id"], file["maxValues"]["transaction_id"])
            for file in files
        )
        assert all(last < first for (_, last), (first, _) in pairwise(spans))


def test_a_look_up_opens_the_one_file_of_each_region_that_can_hold_it(
    lake: MortalLakehouse,
) -> None:
    index = lake.read(SILVER_BATCH_TRANSACTIONS)
    found = index.where(index.transaction_id == transaction_id(21))
    assert [row.user_id for row in found.collect()] == ["user-21"]
    scans = [
        node.metrics().apply("numFiles").value()
        for node in _nodes(found._jdf.queryExecution().executedPlan())
        if node.metrics().contains("numFiles")
    ]
    assert scans == [2]


def _nodes(plan: Any) -> Iterator[Any]:
    yield plan
    children = plan.children()
    for place in range(children.size()):
        yield from _nodes(children.apply(place))
