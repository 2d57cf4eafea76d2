"""Each delivered file has a verdict, and stops no other; what is held, a person may release."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame
from typer.testing import CliRunner

from bronze.load_drops import load_drops
from lakehouse import delta
from lakehouse.cli import app
from lakehouse.cli.delivered import DeliveredFile, delivered_files
from lakehouse.context import Lakehouse
from lakehouse.errors import DropNotHeldError, DropNotReleasableError
from lakehouse.records.codes import DropFault, Verdict
from lakehouse.tables import BRONZE_DROP_FILES, DROPS, Table
from tests.bronze.landing_folder import HEADER, a_row, csv, deliver

MONEY_EVENTS = DROPS["money_events"]
SOUND = csv("1,100,EUR,")
KEYLESS = f"{HEADER.partition(',')[2]}\n100,EUR,x,t,SETTLED,z\n"
OF_RATES = "rate_date,base,currency,rate\n2026-03-06,EUR,USD,1.1\n"
DAMAGED_BYTES = 8


def parquet(rows: int = 2_000) -> bytes:
    """A Parquet file of money events with checksums of its pages."""
    columns = {name: [f"{name} {row}" for row in range(rows)] for name in HEADER.split(",")}
    written = io.BytesIO()
    pq.write_table(pa.table(columns), written, write_page_checksum=True, compression="NONE")
    return written.getvalue()


def with_other_bytes(content: bytes) -> bytes:
    """The same with some bytes in the middle of its pages changed, its footer whole."""
    middle = len(content) // 3
    return content[:middle] + b"?" * DAMAGED_BYTES + content[middle + DAMAGED_BYTES :]


def loaded_rows(lake: Lakehouse, name: str) -> list[str]:
    """What Bronze has of the file of that name."""
    rows = lake.read(MONEY_EVENTS).where(f"path LIKE '%/{name}'")
    return sorted(row["raw"] for row in rows.collect())


def known_files(lake: Lakehouse, **asked: Any) -> dict[str, DeliveredFile]:
    """What `lakehouse drops list` shows, by file name."""
    files = delivered_files(lake.spark, lake.config, **asked)
    return {file.path.rpartition("/")[2]: file for file in files}


@pytest.fixture
def lake(lake_for: Callable[[str], Lakehouse]) -> Lakehouse:
    return lake_for("load_drops")


def test_every_fault_is_named_and_stops_no_other_file(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    faulty: list[tuple[str, str | bytes, DropFault]] = [
        ("empty.csv", "", DropFault.EMPTY),
        ("keyless.csv", KEYLESS, DropFault.WRONG_HEADER),
        ("rates.csv", OF_RATES, DropFault.WRONG_KIND),
        ("hollow.csv.gz", gzip.compress(b""), DropFault.EMPTY),
        ("sheet.xls", "x", DropFault.UNKNOWN_FORMAT),
        ("packed.csv", gzip.compress(SOUND.encode()), DropFault.UNKNOWN_FORMAT),
        ("pages.csv", parquet(), DropFault.UNKNOWN_FORMAT),
        ("array.json", '[{"event_id": 1}]', DropFault.WRONG_FORMAT),
        ("pretty.json", '{\n"event_id": 1\n}', DropFault.WRONG_FORMAT),
        ("cr.jsonl", '{"event_id": 1}\r{"event_id": 2}\r', DropFault.WRONG_FORMAT),
        ("other.jsonl", '{"colour": 1}\n{"colour": 2}\n', DropFault.WRONG_HEADER),
        ("cut.csv.gz", gzip.compress(csv(*["1,1,EUR,"] * 99).encode())[:-20], DropFault.DAMAGED),
        ("cut.parquet", parquet()[:-400], DropFault.DAMAGED),
        ("other bytes.parquet", with_other_bytes(parquet()), DropFault.DAMAGED),
        ("nonsense.parquet", b"PAR1 nonsense PAR1", DropFault.DAMAGED),
        ("utf-16.csv", SOUND.encode("utf-16"), DropFault.FOREIGN_ENCODING),
        ("latin.csv", csv("1,1,EUR,Stra\u00dfe").encode("latin-1"), DropFault.FOREIGN_ENCODING),
    ]
    for name, content, _ in faulty:
        deliver(landing, name, content)
    deliver(landing, "sound.csv", csv("1,100,EUR,", '2,1,EUR,"two\nlines"'))
    deliver(landing, "sound.parquet", parquet())
    deliver(landing, "unmet.csv", SOUND, day="2026-03-09")
    deliver(landing, "_CONTROL.json", '{"rows": 2}', day="2026-03-09")
    deliver(landing, "malformed.csv", SOUND, day="2026-03-10")
    deliver(landing, "_CONTROL.json", "rows: 1", day="2026-03-10")
    deliver(landing, "unfinished.csv", SOUND, day="2026-03-11", done=False)
    deliver(landing, "transfer.csv", SOUND, kind="transfers")
    load_drops(lake)

    files = known_files(lake)
    faults = {name: file.fault for name, file in files.items()}
    assert faults == {name: code for name, _, code in faulty} | {
        "sound.csv": None,
        "sound.parquet": None,
        "unmet.csv": DropFault.CONTROL_UNMET,
        "malformed.csv": DropFault.CONTROL_MALFORMED,
        "unfinished.csv": DropFault.UNFINISHED_DAY,
        "transfer.csv": DropFault.UNKNOWN_KIND,
    }
    by_verdict = {verdict: {*known_files(lake, verdict=verdict)} for verdict in Verdict}
    assert by_verdict[Verdict.LOADED] == {"sound.csv", "sound.parquet"}
    assert by_verdict[Verdict.WAITING] == {"unfinished.csv"}
    assert by_verdict[Verdict.HELD] == {*faults} - {"sound.csv", "sound.parquet", "unfinished.csv"}
    assert all(file.reason for file in files.values() if file.fault)
    assert {*known_files(lake, kind="transfers")} == {"transfer.csv"}
    words = ["drops", "list", "--verdict", "held", "--date", "2026-03-09", "--json"]
    (listed,) = json.loads(CliRunner().invoke(app, words).stdout)
    assert (listed["path"], listed["rows"]) == ("money_events/date=2026-03-09/unmet.csv", 1)
    assert listed["reason"] == "_CONTROL.json says 2 rows, the files have 1"
    shown = CliRunner().invoke(app, ["drops", "list", "--kind", "transfers"])
    assert "UNKNOWN_KIND" in shown.stdout and "transfer.csv" in shown.stdout
    rows = lake.read(MONEY_EVENTS)
    assert rows.count() == 2 + 2_000
    assert loaded_rows(lake, "sound.csv") == [
        a_row("1,100,EUR,"),
        a_row('2,1,EUR,"two\nlines"'),
    ]

    written = delta.latest_version(lake.spark, delta.path_of(lake.config, BRONZE_DROP_FILES))
    load_drops(lake)
    now = delta.latest_version(lake.spark, delta.path_of(lake.config, BRONZE_DROP_FILES))
    assert now == written


def test_a_held_file_is_released_by_name_with_a_reason(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    deliver(landing, "unmet.csv", SOUND)
    deliver(landing, "also.csv", csv("2,200,EUR,"))
    deliver(landing, "_CONTROL.json", '{"rows": 3}')
    deliver(landing, "latin.csv", csv("1,1,EUR,Stra\u00dfe").encode("latin-1"), day="2026-03-09")
    deliver(landing, "empty.parquet", b"", day="2026-03-10")
    deliver(landing, "hollow.csv.gz", gzip.compress(b""), day="2026-03-10")
    deliver(landing, "array.json", '[{"event_id": 1}]', day="2026-03-10")
    deliver(landing, "cut.parquet", parquet(9)[:-9], day="2026-03-10")
    load_drops(lake)
    day = "money_events/date=2026-03-"

    load_drops(lake, release=f"{day}08/unmet.csv", reason="their counter is broken")
    load_drops(lake, release=f"{day}09/latin.csv", reason="two umlauts")
    load_drops(lake, release=f"{day}10/empty.parquet", reason="nothing was paid")
    load_drops(lake, release=f"{day}10/hollow.csv.gz", reason="nor anywhere else")
    load_drops(lake, release=f"{day}10/array.json", reason="to see it refused")
    files = known_files(lake)
    assert (files["hollow.csv.gz"].verdict, files["hollow.csv.gz"].rows) == (Verdict.LOADED, 0)
    assert loaded_rows(lake, "array.json") == ['[{"event_id": 1}]']
    assert (files["unmet.csv"].verdict, files["unmet.csv"].fault) == ("LOADED", "CONTROL_UNMET")
    assert files["unmet.csv"].release_reason == "their counter is broken"
    assert files["also.csv"].verdict == Verdict.HELD
    assert (files["empty.parquet"].verdict, files["empty.parquet"].rows) == (Verdict.LOADED, 0)
    assert loaded_rows(lake, "unmet.csv") == [a_row("1,100,EUR,")]
    assert len(loaded_rows(lake, "latin.csv")) == 1
    judged = lake.read(BRONZE_DROP_FILES).where("path LIKE '%unmet.csv'").collect()
    assert {row["verdict"] for row in judged} == {"HELD", "LOADED"}

    with pytest.raises(DropNotReleasableError, match="cannot be read"):
        load_drops(lake, release=f"{day}10/cut.parquet", reason="please")
    with pytest.raises(DropNotHeldError, match="is LOADED"):
        load_drops(lake, release=f"{day}08/unmet.csv", reason="again")
    deliver(landing, "also.csv", csv("2,999,EUR,"))
    with pytest.raises(DropNotReleasableError, match="other content"):
        load_drops(lake, release=f"{day}08/also.csv", reason="of what I have seen")
    assert not loaded_rows(lake, "also.csv")
    # what replaces a released file is judged anew, as the next revision
    deliver(landing, "unmet.csv", csv("1,101,EUR,"))
    load_drops(lake)
    replaced = known_files(lake)["unmet.csv"]
    assert (replaced.verdict, replaced.revision, replaced.release_reason) == ("HELD", 1, None)


@dataclass(frozen=True)
class Interfering(Lakehouse):
    """A lakehouse in which somebody writes landing/ while a run reads what Bronze has."""

    writes: list[Callable[[], object]] = field(default_factory=list)

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Read, and let the others write once."""
        if table == MONEY_EVENTS and self.writes:
            self.writes.pop()()
        return super().read(table, version)


def test_what_is_written_while_it_is_read_waits(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    deliver(landing, "before.csv", SOUND)
    load_drops(lake)
    deliver(landing, "late.csv", csv("2,2,EUR,"))
    deliver(landing, "gone.csv", csv("3,3,EUR,"))
    deliver(landing, "steady.csv", csv("4,4,EUR,"))

    def interfere() -> None:
        deliver(landing, "late.csv", csv("2,2,EUR,", "5,5,EUR,"))
        deliver(landing, "gone.csv", "").unlink()

    own = {name: getattr(lake, name) for name in Lakehouse.__dataclass_fields__}
    load_drops(Interfering(**own, writes=[interfere]))
    files = known_files(lake)
    for name in ("late.csv", "gone.csv"):
        assert (files[name].verdict, files[name].fault) == ("WAITING", "CHANGING"), name
        assert not loaded_rows(lake, name)
    assert files["steady.csv"].verdict == Verdict.LOADED
    load_drops(lake)
    gone, late = known_files(lake)["gone.csv"], known_files(lake)["late.csv"]
    assert (gone.verdict, gone.fault) == ("GONE", "REMOVED")
    assert (late.verdict, late.revision, late.rows) == ("LOADED", 0, 2)


def test_a_day_counts_a_released_file_and_then_goes_on(lake: Lakehouse) -> None:
    landing = lake.config.lake.landing
    keyless = f"{HEADER.partition(',')[2]}\n200,EUR,,,,\n"
    deliver(landing, "keyless.csv", keyless)
    deliver(landing, "sound.csv", SOUND)
    deliver(landing, "_CONTROL.json", json.dumps({"rows": 3, "amount": {"EUR": "300"}}))
    load_drops(lake)
    assert {file.verdict for file in known_files(lake).values()} == {Verdict.HELD}
    path = "money_events/date=2026-03-08/keyless.csv"
    load_drops(lake, release=path, reason="its rows have no ids")
    deliver(landing, "_CONTROL.json", json.dumps({"rows": 2, "amount": {"EUR": "300"}}))
    load_drops(lake)
    files = known_files(lake)
    assert {file.verdict for file in files.values()} == {Verdict.LOADED}
    assert Path(landing, path).is_file() and files["keyless.csv"].fault == DropFault.WRONG_HEADER
