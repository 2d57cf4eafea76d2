"""10,000 mutated lines of a CSV file: each row is in Silver or in quarantine, and counts add up."""

from __future__ import annotations

import csv
import io
import os
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyspark.sql import functions as F

from bronze.load_drops import load_drops
from lakehouse.context import Lakehouse
from lakehouse.identity import drop_coordinates
from lakehouse.tables import (
    BRONZE_DROP_FILES,
    DROPS,
    SILVER_BATCH_TRANSACTIONS,
    SILVER_QUARANTINE_BATCH,
)
from silver.build_batch import build_batch
from tests.bronze.landing_folder import deliver
from tests.silver.deliveries import a_log_row

SEED = int(os.environ.get("LAKEHOUSE_TEST_SEED", "1"))
MUTATED, SOUND = 10_000, 500
# few: a file of which more than one row in a hundred is not UTF-8 is held
DAMAGED_BYTES = 50
INSERTED = '"",\n\r\t ;0x-\u00fc\ufeff\U0001f600'


def a_line(number: int, note: str) -> str:
    """A sound line under an id of its own."""
    row = a_log_row(number, transaction_id=f"{number:08x}-abcd-4bcd-8bcd-abcdefabcdef")
    written = io.StringIO()
    csv.writer(written, lineterminator="").writerow([*row.values(), note])
    return written.getvalue()


def mutated(rng: random.Random, line: str) -> str:
    """The line with one to three small faults."""
    for _ in range(rng.randint(1, 3)):
        place = rng.randrange(len(line) + 1)
        cells = line.split(",")
        line = rng.choice(
            [
                line[:place] + line[place + 1 :],
                line[:place] + rng.choice(INSERTED) + line[place:],
                line[:place] + rng.choice(INSERTED) + line[place + 1 :],
                line[:place],
                ",".join(rng.sample(cells, len(cells))),
                ",".join([*cells, rng.choice(cells)]),
                f"{line}\n{line}",
            ]
        )
    return line


def with_damaged_byte(rng: random.Random, line: str) -> bytes:
    """The line with one character that is no UTF-8."""
    place = rng.randrange(len(line))
    return line[:place].encode() + b"\xff" + line[place + 1 :].encode()


def lines_of(texts: list[str]) -> list[str]:
    """What stands in lines, whatever their breaks; blank ones are no rows."""
    lines = [line.removesuffix("\r") for text in texts for line in text.split("\n")]
    return [line for line in lines if line.strip(" ")]


def without_gates(lake: Lakehouse, folder: Path) -> Lakehouse:
    """The same lake without conf/quality: a gate would hold a day of which most rows are broken."""
    rules = lake.config.rules.model_copy(update={"quality": str(folder)})
    return replace(lake, config=lake.config.model_copy(update={"rules": rules}))


def test_each_row_is_in_silver_or_in_quarantine(
    lake_for: Callable[[str], Lakehouse], tmp_path: Path
) -> None:
    print(f"replay with LAKEHOUSE_TEST_SEED={SEED}")
    rng = random.Random(SEED)
    notes = ("", "plain", "a, b", 'say "x"', "two\nlines", "Stra\u00dfe \u2615")
    sound = [a_line(number, "") for number in range(SOUND)]
    broken = [
        mutated(rng, a_line(number, rng.choice(notes))).encode()
        for number in range(SOUND, SOUND + MUTATED - DAMAGED_BYTES)
    ]
    broken += [
        with_damaged_byte(rng, a_line(number, ""))
        for number in range(SOUND + MUTATED, SOUND + MUTATED + DAMAGED_BYTES)
    ]
    assert len(broken) == MUTATED
    lines = [*(line.encode() for line in sound), *broken]
    rng.shuffle(lines)
    header = ",".join([*a_log_row(0), "note"])
    lake = lake_for("load_drops")
    deliver(
        lake.config.lake.landing,
        "a.csv",
        b"\n".join([header.encode(), *lines, b""]),
        kind="transactions",
    )
    load_drops(lake)
    no_rules = tmp_path / "quality"
    no_rules.mkdir()
    build_batch(without_gates(lake_for("build_batch"), no_rules))

    rows = lake.read(DROPS["transactions"]).withColumn("coordinates", drop_coordinates())
    bronze: dict[str, Any] = {
        row["coordinates"]: row["raw"] for row in rows.orderBy("row_number").collect()
    }
    delivered = b"\n".join(lines).decode(errors="replace").removeprefix("\ufeff")
    assert lines_of([*bronze.values()]) == lines_of([delivered])
    (file,) = lake.read(BRONZE_DROP_FILES).collect()
    assert (file["verdict"], file["row_count"]) == ("LOADED", len(bronze))

    log = lake.read(SILVER_BATCH_TRANSACTIONS).select("coordinates", "transaction_id").collect()
    accepted = {row["coordinates"]: row["transaction_id"] for row in log}
    refused = lake.read(SILVER_QUARANTINE_BATCH).select("coordinates", F.size("reasons")).collect()
    quarantined = {row[0] for row in refused if row[1] > 0}
    assert len(log) == len(accepted) and len(refused) == len(quarantined)
    assert not accepted.keys() & quarantined
    assert {*accepted, *quarantined} <= {*bronze}
    ids = {*accepted.values()}
    repeated = [bronze[place] for place in {*bronze} - {*accepted} - quarantined]
    unexplained = [raw for raw in repeated if raw.partition(",")[0].strip(' "').lower() not in ids]
    assert not unexplained
    # what nobody touched is taken, unless a quoted cell beside it swallows it
    taken = {bronze[place] for place in accepted}
    own_rows = {*sound} & {*bronze.values()}
    assert own_rows <= taken and len(own_rows) > 0.9 * SOUND
