"""delta-rs's MERGE of finished rows, in a process of its own: it holds in memory what it moves."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from collections.abc import Sequence

import deltalake
import pyarrow.parquet as pq

MOST_GIB = 14  # beside the JVM; the kernel would else end the whole benchmark


def seconds_of_merge(path: str, condition: str, files: Sequence[str]) -> float | None:
    """How long it takes into the table at `path`, without the start; None if it dies of memory.

    Raises:
        CalledProcessError: it ended for another reason.
    """
    command = [sys.executable, "-m", "bench.by_delta_rs", path, condition, *files]
    limit = MOST_GIB * 1024**3
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    if ended.returncode in (-6, -9, 134, 137) or "memory" in ended.stderr.lower():
        return None
    ended.check_returncode()
    return float(json.loads(ended.stdout))


def _merge(path: str, condition: str, files: Sequence[str]) -> None:
    merging = deltalake.DeltaTable(path).merge(
        pq.read_table(list(files)), condition, source_alias="s", target_alias="t"
    )
    merging.when_matched_update_all().when_not_matched_insert_all().execute()


if __name__ == "__main__":
    table, where, *sources = sys.argv[1:]
    begun = time.perf_counter()
    _merge(table, where, sources)
    print(json.dumps(time.perf_counter() - begun))
