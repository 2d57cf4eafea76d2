"""What a storage does not give, and what lies there no more: told file by file, the rest loads."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from typer.testing import CliRunner

from bronze.control import NOT_ISO
from bronze.drops import raw_rows, totals_by_path
from bronze.landing import LandedFile, Landing
from bronze.load_drops import load_drops
from bronze.manifest import Content
from bronze.reading import damaged_files, read_rows
from lakehouse.cli import app
from lakehouse.cli.delivered import DeliveredFile, delivered_files
from lakehouse.context import Lakehouse
from lakehouse.decision.currency import minor_digits
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import DropNotReleasableError
from lakehouse.records.codes import DropFault, Verdict
from lakehouse.tables import BRONZE_DROP_FILES, DROPS
from tests.bronze.landing_folder import HEADER, csv, deliver

DAY = "money_events/date=2026-03-08"
TEN_ROWS = csv(*(f"{n},1,EUR," for n in range(10)))


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse]) -> Lakehouse:
    return lake_for("load_drops")


def known_files(lake: Lakehouse) -> dict[str, DeliveredFile]:
    """What `lakehouse drops list` shows, by path."""
    return {file.path: file for file in delivered_files(lake.spark, lake.config)}


def told(lake: Lakehouse) -> dict[str, tuple[str, str | None]]:
    """Verdict and fault by file name."""
    return {Path(p).name: (f.verdict, f.fault) for p, f in known_files(lake).items()}


def loaded_rows(lake: Lakehouse) -> int:
    """Rows in Bronze."""
    return lake.read(DROPS["money_events"]).count()


def manifest_version(lake: Lakehouse) -> int:
    """How often the manifest was written."""
    return latest_version(lake.spark, path_of(lake.config, BRONZE_DROP_FILES))


def with_broken_bytes(file: Path) -> Path:
    """Let Hadoop's file system refuse to give the bytes; what to remove to mend it."""
    sums = file.with_name(f".{file.name}.crc")
    sums.write_bytes(b"crc\0" + (512).to_bytes(4) + bytes(range(1, 5)) * (1 + len(file.name)))
    return sums


def test_what_the_storage_does_not_give_is_told_and_tried_again(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    broken = with_broken_bytes(deliver(landing, "broken.csv", csv("1,1,EUR,")))
    deliver(landing, "sound.csv", csv("2,2,EUR,"))
    deliver(landing, "counted.csv", csv("3,3,EUR,"), day="2026-03-09")
    control = deliver(landing, "_CONTROL.json", '{"rows": 1}', day="2026-03-09")
    uncountable = with_broken_bytes(control)
    load_drops(lake)
    assert told(lake) == {
        "broken.csv": ("HELD", "UNREADABLE"),
        "sound.csv": ("LOADED", None),
        "counted.csv": ("HELD", "CONTROL_UNREADABLE"),
    }
    reason = known_files(lake)[f"{DAY}/broken.csv"].reason
    assert reason and "its storage does not give it" in reason and "Checksum" in reason
    with pytest.raises(DropNotReleasableError, match="its storage does not give it"):
        load_drops(lake, release=f"{DAY}/broken.csv", reason="please")

    written = manifest_version(lake)
    load_drops(lake)
    assert manifest_version(lake) == written

    for fault in (broken, uncountable):
        fault.unlink()
    load_drops(lake)
    assert {verdict for verdict, _ in told(lake).values()} == {Verdict.LOADED}
    assert loaded_rows(lake) == 3


def test_a_day_with_totals_is_held_while_one_of_its_files_is_not_given(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    broken = with_broken_bytes(deliver(landing, "broken.csv", csv("1,1,EUR,")))
    deliver(landing, "sound.csv", csv("2,2,EUR,"))
    # nobody knows whether the file that is not given belongs to the totals
    deliver(landing, "_CONTROL.json", '{"rows": 1}')
    load_drops(lake)
    assert told(lake)["sound.csv"] == ("HELD", "CONTROL_UNMET")
    deliver(landing, "_CONTROL.json", '{"rows": 2}')
    broken.unlink()
    load_drops(lake)
    assert loaded_rows(lake) == 2


def test_what_lies_there_no_more_is_gone_and_what_was_loaded_stays(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    loaded = deliver(landing, "loaded.csv", csv("1,1,EUR,"))
    corrected = deliver(landing, "corrected.csv", csv("2,2,EUR,"))
    held = deliver(landing, "held.csv", "id\n1\n")
    waiting = deliver(landing, "waiting.csv", csv("3,3,EUR,"), day="2026-03-09", done=False)
    loose = Path(landing, "loose.csv")
    loose.touch()
    hidden = deliver(landing, "_temporary/part.csv", csv("4,4,EUR,"))
    load_drops(lake)
    deliver(landing, "corrected.csv", "id\n1\n")
    load_drops(lake)
    before = told(lake)
    assert before == {
        "loaded.csv": ("LOADED", None),
        "corrected.csv": ("HELD", "WRONG_HEADER"),
        "held.csv": ("HELD", "WRONG_HEADER"),
        "waiting.csv": ("WAITING", "UNFINISHED_DAY"),
        "loose.csv": ("HELD", "MISPLACED"),
        "part.csv": ("HELD", "MISPLACED"),
    }

    for file in (loaded, corrected, held, waiting, loose, hidden):
        file.unlink()
    load_drops(lake)
    written = manifest_version(lake)
    load_drops(lake)
    assert manifest_version(lake) == written
    gone = {name: (Verdict.GONE, DropFault.REMOVED) for name in before if name != "loaded.csv"}
    assert told(lake) == {"loaded.csv": ("LOADED", None), **gone}
    assert loaded_rows(lake) == 2
    listed = CliRunner().invoke(app, ["drops", "list", "--verdict", "gone", "--json"])
    paths = {file["path"]: file["reason"] for file in json.loads(listed.stdout)}
    assert "loose.csv" in paths and "before stays" in paths[f"{DAY}/corrected.csv"]

    deliver(landing, "held.csv", "id\n1\n")
    deliver(landing, "corrected.csv", csv("2,2,EUR,"))
    load_drops(lake)
    assert told(lake)["held.csv"] == ("HELD", "WRONG_HEADER")
    assert known_files(lake)[f"{DAY}/corrected.csv"].revision == 2


def a_file(root: Path, name: str, content: str | bytes) -> LandedFile:
    """A file of money events, as it is listed."""
    place = deliver(str(root), name, content)
    return LandedFile(f"{DAY}/{name}", f"file:{place}", place.stat().st_size, 0)


def test_a_file_is_named_for_damage_in_any_column(spark: SparkSession, tmp_path: Path) -> None:
    written = io.BytesIO()
    columns = {name: [f"{name} {row}" for row in range(1000)] for name in HEADER.split(",")}
    table = pa.table(columns)
    pq.write_table(table, written, write_page_checksum=True, compression="NONE")
    content = written.getvalue()
    place = content.index(b"note 500")
    damaged = content[:place] + b"NOTE" + content[place + 4 :]
    files = [
        a_file(tmp_path, f"{name}.parquet", damaged if name == "c" else content) for name in "abcd"
    ]

    found = damaged_files(files, lambda some: raw_rows(spark, some))
    assert [*found] == [f"{DAY}/c.parquet"]


def test_a_file_is_named_for_what_the_load_alone_computes(
    spark: SparkSession, tmp_path: Path
) -> None:
    files = [a_file(tmp_path, f"{name}.csv", TEN_ROWS) for name in "abc"]

    def as_loaded(some: Sequence[LandedFile]) -> DataFrame:
        # no count needs this column
        is_bad = F.col("path").endswith("/b.csv") & (F.col("row_number") == 7)
        return raw_rows(spark, some).withColumn(
            "loaded", F.when(is_bad, F.raise_error(F.lit("too deep"))).otherwise("")
        )

    assert totals_by_path(as_loaded(files))[f"{DAY}/b.csv"].rows == 10
    found = damaged_files(files, as_loaded)
    assert [*found] == [f"{DAY}/b.csv"] and "too deep" in found[f"{DAY}/b.csv"].reason


def test_a_fault_that_leaves_no_trace_is_tried_once_more(
    spark: SparkSession, tmp_path: Path
) -> None:
    files = [a_file(tmp_path, "a.csv", TEN_ROWS)]
    contents = [Content(files[0].path, "A", 0)]
    faults = [PySparkException("a disk was away")]

    def keep(rows: DataFrame) -> DataFrame:
        if faults:
            raise faults.pop()
        return rows

    read = read_rows(spark, keep, files, contents, b"a key")
    assert (read.totals[files[0].path].rows, dict(read.faults)) == (10, {})
    faults += [PySparkException("and again"), PySparkException("and again")]
    with pytest.raises(PySparkException, match="and again"):
        read_rows(spark, keep, files, contents, b"a key")


def test_totals_stay_few_whatever_currencies_a_file_names(
    spark: SparkSession, tmp_path: Path
) -> None:
    codes = ["EUR", " EUR ", "eur", "", "USD", *(f"x{n}" for n in range(3000))]
    files = [
        a_file(tmp_path, "a.csv", csv(*(f"{n},2,{code}," for n, code in enumerate(codes)))),
        a_file(tmp_path, "b.csv", csv("1,7,EUR,")),
    ]
    assert [file.path for file in Landing(spark, str(tmp_path)).listed().days[0].files] == [
        file.path for file in files
    ]
    totals = totals_by_path(raw_rows(spark, files))
    # an empty cell is a code that ISO does not know
    assert totals[f"{DAY}/a.csv"].amount == {"EUR": 4, "USD": 2, NOT_ISO: 2 * 3002}
    assert totals[f"{DAY}/a.csv"].rows == len(codes)
    assert totals[f"{DAY}/b.csv"].amount == {"EUR": 7}
    assert NOT_ISO not in minor_digits()
