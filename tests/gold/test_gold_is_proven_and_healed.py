"""`lakehouse prove gold` names each row that its contributions do not give; `--heal` mends it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from typer.testing import CliRunner, Result

from lakehouse.cli import app
from lakehouse.cli.gold_proof import prove_gold
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.delta import latest_version, path_of
from lakehouse.errors import GoldNotDerivedError, LeaseHeldError, TableNotFoundError
from lakehouse.fold import pure
from lakehouse.lease import held_lease
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.conftest import LOCAL
from tests.fold.contributions import (
    NINE,
    a_batch_row,
    a_live_event,
    a_random_contribution,
    money,
    the_precedence,
    the_transitions,
)
from tests.fold.plain import plain
from tests.gold.rows import append

Opener = Callable[[str], Lakehouse]
Row = dict[str, Any]
Sets = dict[str, pure.ContributionSet]

_LIVE, _SETTLED = a_live_event(), money("SETTLED", 1000)
_BATCH_A_DAY_LATER = a_batch_row(event_time=NINE + timedelta(days=1))
_WITHDRAWN = money("SETTLED", 300, withdrawn=True, revision=1)
_RANDOM_SETS = 60


def test_what_consolidation_derives_is_proven(lake_for: Opener, config: Config) -> None:
    lake = lake_for("planting")
    append(lake, GOLD_TRANSACTIONS, *[derived(name, held) for name, held in random_sets().items()])
    proof = prove_gold(lake.spark, config)
    assert (proof.holds, proof.rows, proof.version) == (True, _RANDOM_SETS, version_of(lake))


def test_each_fault_is_named_and_healed_once(lake_for: Opener, config: Config) -> None:
    lake = lake_for("planting")
    sets, rows = planted()
    append(lake, GOLD_TRANSACTIONS, *rows)

    proof = prove_gold(lake.spark, config)
    assert {(f.fault, f.transactions, *f.first) for f in proof.faults} == {
        ("DOUBLED", 2, "doubled apart", "doubled in one place"),
        ("NOT_A_SET", 2, "an old revision too", "out of order"),
        ("NOT_DERIVED", 3, "changed", "counts withdrawn", "flag removed"),
        ("COUNTS_WITHDRAWN", 1, "counts withdrawn"),
        ("MISPLACED", 2, "on another day", "without region"),
    }
    columns = {f.fault: set(f.columns) for f in proof.faults}
    assert columns["NOT_DERIVED"] == {"amount", "exceptions", "settled_amount"}
    assert columns["MISPLACED"] == {"event_date", "region"}

    answer = asked("--heal", "--json")
    assert answer.exit_code == 0, answer.exception
    # the log of the job that heals stands before it
    first, second = json.loads(answer.stdout[answer.stdout.index("[\n") :])
    assert (first["holds"], second["holds"]) == (False, True)
    assert second["version"] == first["version"] + 1, "in one commit"
    assert second["rows"] == len(sets)
    stored = {row.transaction_id: plain(row) for row in lake.read(GOLD_TRANSACTIONS).collect()}
    assert stored == {name: plain(derived(name, held)) for name, held in sets.items()}
    assert written_after(lake, first["version"]) == {row["transaction_id"] for row in rows} - {
        name for name in sets if name.startswith("random")
    }

    healed = CliRunner().invoke(app, ["run", "consolidate", "--heal", "--config", str(LOCAL)])
    assert healed.exit_code == 0, healed.exception
    assert version_of(lake) == second["version"], "what is healed is not written again"


def test_what_does_not_hold_ends_with_an_error_that_names_it(lake_for: Opener) -> None:
    lake = lake_for("planting")
    wrong = derived("t-wrong", (_LIVE,)) | {"amount": Decimal(1)}
    append(
        lake, GOLD_TRANSACTIONS, wrong, *[wrong | {"transaction_id": f"u-{n}"} for n in range(40)]
    )
    answer = asked()
    assert isinstance(answer.exception, GoldNotDerivedError)
    assert answer.exception.faults == ("NOT_DERIVED 41 (t-wrong, ...)",)
    assert "amount" in answer.stdout and "u-18" in answer.stdout and "u-39" not in answer.stdout
    assert "u-1," not in str(answer.exception), "bounded"


def test_only_the_holder_of_the_lease_heals(lake_for: Opener, config: Config) -> None:
    lake = lake_for("planting")
    append(lake, GOLD_TRANSACTIONS, derived("t", (_LIVE,)) | {"amount": Decimal(1)})
    version = version_of(lake)
    with held_lease(config, "consolidate"):
        assert isinstance(asked("--heal").exception, LeaseHeldError)
    assert version_of(lake) == version


def test_a_lake_without_gold_is_told_so(config: Config) -> None:
    assert isinstance(asked().exception, TableNotFoundError)


def planted() -> tuple[Sets, list[Row]]:
    """The sets as they should stand, and rows that show them otherwise, beside rows that don't."""
    sets: Sets = {
        "doubled apart": pure.union((_LIVE,), (_BATCH_A_DAY_LATER, _SETTLED)),
        "doubled in one place": (_LIVE,),
        "changed": (_LIVE,),
        "flag removed": pure.union((_LIVE,), (money("REFUNDED", 5),)),
        "counts withdrawn": pure.union((_LIVE,), (_WITHDRAWN, _SETTLED)),
        "on another day": (_LIVE,),
        "without region": (_LIVE,),
        "out of order": pure.union((_LIVE,), (_SETTLED,)),
        "an old revision too": pure.union((_LIVE,), (a_batch_row(revision=1),)),
    }
    right = {name: derived(name, held) for name, held in sets.items()}
    as_counted = derived(
        "counts withdrawn",
        [c.model_copy(update={"withdrawn": False}) for c in sets["counts withdrawn"]],
    )
    wrong = [
        derived("doubled apart", (_LIVE,)),
        derived("doubled apart", (_SETTLED, _BATCH_A_DAY_LATER)),
        right["doubled in one place"],
        right["doubled in one place"],
        right["changed"] | {"amount": Decimal(1)},
        right["flag removed"] | {"exceptions": []},
        as_counted | {"contributions": right["counts withdrawn"]["contributions"]},
        right["on another day"] | {"event_date": date(2026, 3, 10)},
        right["without region"] | {"region": None},
        right["out of order"] | {"contributions": right["out of order"]["contributions"][::-1]},
        right["an old revision too"]
        | {"contributions": plain([a_batch_row(), *sets["an old revision too"]])},
    ]
    fine = random_sets()
    return sets | fine, wrong + [derived(name, held) for name, held in fine.items()]


def random_sets() -> Sets:
    random = Random(7)
    return {
        f"random {n}": pure.union((), [a_random_contribution(random) for _ in range(1 + n % 9)])
        for n in range(_RANDOM_SETS)
    }


def derived(transaction_id: str, contributions: Any) -> Row:
    """The row that plain Python makes of these contributions, as they are."""
    row: Row = plain(
        pure.derive(transaction_id, contributions, the_precedence(), the_transitions())
    )
    return row


def asked(*words: str) -> Result:
    return CliRunner().invoke(app, ["prove", "gold", *words, "--config", str(LOCAL)])


def version_of(lake: Lakehouse) -> int:
    return latest_version(lake.spark, path_of(lake.config, GOLD_TRANSACTIONS))


def written_after(lake: Lakehouse, version: int) -> set[str]:
    changes = lake.changes(GOLD_TRANSACTIONS, after=version).select("transaction_id").distinct()
    return {row.transaction_id for row in changes.collect()}
