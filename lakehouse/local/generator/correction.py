"""A corrected drop: later deliveries at the same paths, with other content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lakehouse.errors import ConfigError
from lakehouse.local.generator.generated import GeneratedWorld
from lakehouse.local.generator.settings import stream
from lakehouse.local.generator.sheets import DropFile, Sheet, drop_files


@dataclass(frozen=True)
class ChangedAmount:
    """An amount that a correction lowers, in whole smallest units of its currency.

    `identity` is the transaction id of a log row, the event id of a money event.
    """

    path: str
    identity: str
    currency: str
    before: int
    after: int


@dataclass(frozen=True)
class Correction:
    """What a corrected delivery changes, and its files, those of the whole days it touches."""

    drops: list[DropFile]
    lowered: ChangedAmount
    vanished_path: str
    vanished_transaction_id: str
    money: ChangedAmount


def corrected_drop(world: GeneratedWorld) -> Correction:
    """Correct one day of the log and one of the money events; control totals follow.

    In the log one amount is lowered and one row vanishes; in the money events one settlement is
    lowered. The three concern three different payments that no planted mess strikes.

    Raises:
        ConfigError: the world is too small to have three such payments on those days.
    """
    rng = stream(world.settings.seed, "correction")
    struck = {case.identity for case in world.truth.planted}
    log = _first_correctable(world, "transactions")
    candidates = [
        position
        for position, row in enumerate(log.rows)
        if row["transaction_id"] not in struck
        and row["transaction_status"] == "AUTHORIZED"
        and _whole(row) >= 100
    ]
    _require(candidates, 2)
    lowered_at, vanished_at = rng.sample(candidates, 2)
    lowered_log, lowered = _lower(log, lowered_at, "transaction_id")
    vanished_id = str(log.rows[vanished_at]["transaction_id"])
    corrected_log = _renumbered(lowered_log, vanished_at)

    money = _first_correctable(world, "money_events")
    touched = {lowered.identity, vanished_id}
    settlements = [
        position
        for position, row in enumerate(money.rows)
        if row["event_type"] == "SETTLED"
        and row["event_id"] not in struck
        and row["transaction_id"] not in struck | touched
        and _whole(row) >= 100
    ]
    _require(settlements, 1)
    corrected_money, settled = _lower(money, rng.choice(settlements), "event_id")

    replaced = {log.path: corrected_log, money.path: corrected_money}
    folders = {log.folder, money.folder}
    days = [replaced.get(sheet.path, sheet) for sheet in world.sheets if sheet.folder in folders]
    return Correction(drop_files(days), lowered, log.path, vanished_id, settled)


def _first_correctable(world: GeneratedWorld, kind: str) -> Sheet:
    """Prefer the second day with totals of its own, so that the correction must correct them."""
    totalled = [sheet for sheet in world.sheets if sheet.kind == kind and sheet.controlled]
    _require(totalled, 1)
    later = [sheet for sheet in totalled if sheet.delivered > totalled[0].delivered]
    return (later or totalled)[0]


def _lower(sheet: Sheet, position: int, identity: str) -> tuple[Sheet, ChangedAmount]:
    """Lower one amount by a tenth."""
    row = sheet.rows[position]
    before = _whole(row)
    after = before - before // 10
    rows = (*sheet.rows[:position], row | {"amount": after}, *sheet.rows[position + 1 :])
    change = ChangedAmount(sheet.path, str(row[identity]), str(row["currency"]), before, after)
    return sheet._replace(rows=rows), change


def _renumbered(sheet: Sheet, vanished_at: int) -> Sheet:
    """Take one row out; planted rows behind it move up."""
    rows = (*sheet.rows[:vanished_at], *sheet.rows[vanished_at + 1 :])
    planted = tuple((at - (at > vanished_at), kind) for at, kind in sheet.planted)
    return sheet._replace(rows=rows, planted=planted)


def _require(candidates: Sequence[object], least: int) -> None:
    if len(candidates) < least:
        raise ConfigError("generator settings", ["transactions: too few to correct any of them"])


def _whole(row: Mapping[str, object]) -> int:
    return int(str(row["amount"]).partition(".")[0])
