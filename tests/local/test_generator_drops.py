"""The drops: formats, totals, later life, planted rows, correction, and the landing folder."""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow.parquet as pq
import pytest

from lakehouse.errors import ConfigError
from lakehouse.local.generator import (
    DropFile,
    GeneratedWorld,
    GeneratorSettings,
    corrected_drop,
    generate,
    later_life,
    write_drops,
)
from lakehouse.local.generator.drop_mess import MALFORMED_ROWS
from lakehouse.local.generator.log import LOG_AMOUNT, LOG_MIDNIGHT, LOG_MISSING, LOG_ONLY

Row = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> GeneratedWorld:
    return generate(GeneratorSettings(transactions=2000))


def rows_of(drop: DropFile) -> list[Row]:
    """Read a data file as a stranger would; an empty CSV field is None."""
    if drop.path.endswith(".parquet"):
        rows: list[Row] = pq.read_table(io.BytesIO(drop.content)).to_pylist()
        return rows
    if drop.path.endswith(".jsonl"):
        return [json.loads(line) for line in drop.content.splitlines()]
    content = gzip.decompress(drop.content) if drop.path.endswith(".gz") else drop.content
    reader = csv.DictReader(io.StringIO(content.decode()))
    return [{name: text or None for name, text in row.items()} for row in reader]


def data_files(drops: list[DropFile], kind: str) -> list[DropFile]:
    found = [drop for drop in drops if drop.path.startswith(f"{kind}/")]
    return [drop for drop in found if not PurePosixPath(drop.path).name.startswith("_")]


def all_rows(drops: list[DropFile], kind: str) -> list[Row]:
    return [row for drop in data_files(drops, kind) for row in rows_of(drop)]


def delivered(drop: DropFile) -> date:
    return date.fromisoformat(drop.path.split("date=")[1][:10])


def whole(amount: int | str) -> int:
    return int(str(amount).partition(".")[0])


def test_each_day_is_complete_and_marked_last(world: GeneratedWorld) -> None:
    last_of = {str(PurePosixPath(drop.path).parent): drop.path for drop in world.drops}
    assert all(path.endswith("/_SUCCESS") for path in last_of.values())
    assert {folder.split("/")[0] for folder in last_of} == {
        "transactions",
        "money_events",
        "policies",
        "fraud_scores",
        "fx_rates",
    }


def test_the_log_comes_in_four_formats_the_day_after(world: GeneratedWorld) -> None:
    files = data_files(world.drops, "transactions")
    endings = Counter(drop.path.split("transactions.")[1] for drop in files)
    assert endings == {"csv": 4, "csv.gz": 1, "jsonl": 1, "parquet": 1}
    start = world.settings.start
    assert [delivered(drop) for drop in files] == [start + timedelta(n) for n in range(1, 8)]


def test_the_log_has_one_row_per_booked_payment(world: GeneratedWorld) -> None:
    payments = {payment.transaction_id: payment for payment in world.truth.payments}
    logged = Counter(row.get("transaction_id") for row in all_rows(world.drops, "transactions"))
    missing = {c.identity for c in world.truth.planted if c.kind == LOG_MISSING}
    strangers = logged.keys() - payments.keys()
    assert payments.keys() - logged.keys() == missing
    assert len(strangers) == 5, "the malformed rows"
    assert all(logged[transaction_id] == 1 for transaction_id in payments.keys() & logged.keys())


def test_log_only_payments_have_no_event(world: GeneratedWorld) -> None:
    log_only = {c.identity for c in world.truth.planted if c.kind == LOG_ONLY}
    announced = {record.key.decode() for record in world.transactions}
    assert len(log_only) == 20
    assert log_only.isdisjoint(announced)


def test_the_log_disagrees_where_the_truth_says(world: GeneratedWorld) -> None:
    payments = {payment.transaction_id: payment for payment in world.truth.payments}
    planted = {c.identity: c.kind for c in world.truth.planted if c.place == "transactions"}
    for drop in data_files(world.drops, "transactions"):
        for row in rows_of(drop):
            payment = payments.get(row.get("transaction_id") or "")
            if payment is None:
                continue
            kind = planted.get(payment.transaction_id)
            happened = date.fromtimestamp(0) + timedelta(payment.timestamp_ms // 86_400_000)
            assert (whole(row["amount"]) != payment.amount) == (kind == LOG_AMOUNT)
            assert (delivered(drop) != happened + timedelta(1)) == (kind == LOG_MIDNIGHT)


def test_every_kind_of_malformed_row_is_where_the_truth_says(world: GeneratedWorld) -> None:
    assert set(world.truth.counts) >= MALFORMED_ROWS
    files = {drop.path: drop for drop in world.drops}
    for case in world.truth.planted:
        if case.place in files:
            row = rows_of(files[case.place])[case.position]
            assert not case.identity or case.identity in map(str, row.values())


def test_control_totals_are_the_totals(world: GeneratedWorld) -> None:
    controls = [drop for drop in world.drops if drop.path.endswith("_CONTROL.json")]
    assert {drop.path.split("/")[0] for drop in controls} == {
        "transactions",
        "money_events",
        "fraud_scores",
    }
    for control in controls:
        assert_totals_hold(world.drops, control)


def assert_totals_hold(drops: list[DropFile], control: DropFile) -> None:
    folder = PurePosixPath(control.path).parent
    files = [drop for drop in drops if PurePosixPath(drop.path).parent == folder]
    rows = [row for drop in data_files(files, folder.parts[0]) for row in rows_of(drop)]
    told = json.loads(control.content)
    assert told["rows"] == len(rows)
    sums: Counter[str] = Counter()
    for row in rows:
        if "amount" in row:
            sums[row["currency"]] += whole(row["amount"])
    assert told.get("amount", {}) == {currency: str(total) for currency, total in sums.items()}


def test_money_follows_the_payment(world: GeneratedWorld) -> None:
    payments = {payment.transaction_id: payment for payment in world.truth.payments}
    planted = {c.identity: c.kind for c in world.truth.planted}
    history: dict[str, list[Row]] = defaultdict(list)
    for row in all_rows(world.drops, "money_events"):
        if planted.get(row.get("event_id") or "") in (None, later_life.LATE_MONEY):
            history[row["transaction_id"]].append(row)
    history.pop(next(iter(history.keys() - payments.keys()), ""), None)
    kinds: Counter[str] = Counter()
    for transaction_id, rows in history.items():
        payment = payments[transaction_id]
        assert payment.status == "AUTHORIZED"
        rows.sort(key=lambda row: row["timestamp"])
        assert rows[0]["event_type"] == "SETTLED"
        booked = whole(rows[0]["amount"])
        paid_on = payment.timestamp_ms // 86_400_000
        days = datetime.fromisoformat(rows[0]["timestamp"]).timestamp() // 86_400 - paid_on
        assert 1 <= days <= 3
        refunded = sum(whole(r["amount"]) for r in rows if r["event_type"] == "REFUNDED")
        assert refunded <= booked
        assert {row["currency"] for row in rows} == {payment.currency}
        kinds.update(row["event_type"] for row in rows)
        kinds["partial"] += 0 < refunded < booked
        if any(row["event_type"] == "CHARGEBACK" for row in rows):
            kinds["fraud chargeback"] += payment.is_fraud
    assert kinds["SETTLED"] > 1700
    assert min(kinds["REFUNDED"], kinds["partial"], kinds["CHARGEBACK_REVERSED"]) > 5
    assert kinds["fraud chargeback"] > kinds["CHARGEBACK"] / 2


def test_optional_money_fields_are_there_and_missing(world: GeneratedWorld) -> None:
    rows = all_rows(world.drops, "money_events")
    assert any(row.get("transaction_date") for row in rows)
    assert any("transaction_date" not in row for row in rows), "the plain acquirer"
    disputes = [row for row in rows if row["event_type"].startswith("CHARGEBACK")]
    assert any(row.get("dispute_id") for row in disputes)
    assert any(not row.get("dispute_id") for row in disputes)


def test_money_is_delivered_up_to_five_weeks_later(world: GeneratedWorld) -> None:
    last = max(delivered(drop) for drop in data_files(world.drops, "money_events"))
    end = world.settings.start + timedelta(world.settings.days)
    assert timedelta(weeks=2) < last - end < timedelta(weeks=6)


def test_odd_money_is_planted(world: GeneratedWorld) -> None:
    payments = {payment.transaction_id: payment for payment in world.truth.payments}
    rows = {row.get("event_id"): row for row in all_rows(world.drops, "money_events")}
    for case in world.truth.planted:
        if case.kind == later_life.FOREIGN_MONEY:
            row = rows[case.identity]
            assert row["currency"] != payments[row["transaction_id"]].currency
        if case.kind == later_life.ORPHAN_MONEY:
            assert rows[case.identity]["transaction_id"] not in payments
    ids = Counter(row.get("event_id") for row in all_rows(world.drops, "money_events"))
    twice = {event_id for event_id, number in ids.items() if number == 2}
    planted = {c.identity for c in world.truth.planted if c.kind == later_life.DUPLICATE_MONEY}
    assert twice == planted


def test_policies_come_before_the_first_payment_and_one_changes_midweek(
    world: GeneratedWorld,
) -> None:
    first, change = (rows_of(drop) for drop in data_files(world.drops, "policies"))
    rules = {json.loads(row["policy_data"])["rule"] for row in first}
    assert rules == {
        "velocity_limit",
        "geo_block",
        "amount_limit",
        "currency_block",
        "merchant_block",
    }
    lowered = change[0]
    before = next(row for row in first if row["policy_id"] == lowered["policy_id"])
    assert json.loads(before["policy_data"])["max_amount"] == 300_000
    assert json.loads(lowered["policy_data"])["max_amount"] == 150_000
    assert before["effective_date"] < "2026-03-02" < lowered["effective_date"] < "2026-03-09"
    with pytest.raises(ValueError, match="Unterminated"):
        json.loads(change[1]["policy_data"])


def test_rates_are_the_banks_and_know_no_dinar(world: GeneratedWorld) -> None:
    rows = [row for row in all_rows(world.drops, "fx_rates") if row["rate"] != "n/a"]
    assert {row["base"] for row in rows} == {"EUR"}
    assert "KWD" not in {row["currency"] for row in rows}
    assert "RUB" not in {row["currency"] for row in rows}
    days = sorted({row["rate_date"] for row in rows})
    assert days[0] == "2026-02-20"
    assert days[-1] == "2026-03-11"
    assert not {"2026-03-07", "2026-03-08"} & set(days), "a weekend"
    dollars = {row["rate_date"]: float(row["rate"]) for row in rows if row["currency"] == "USD"}
    assert all(0.8 < rate < 1.6 for rate in dollars.values())


def test_offline_scores_come_the_day_after(world: GeneratedWorld) -> None:
    known = {payment.transaction_id for payment in world.truth.payments}
    scored = 0
    for drop in data_files(world.drops, "fraud_scores"):
        for row in rows_of(drop):
            told = row["explanations"]
            explanations = json.loads(told) if isinstance(told, str) else told
            assert list(explanations) == ["amount", "location", "merchant", "velocity"]
            assert row["inference_time"].startswith(delivered(drop).isoformat())
            scored += row["transaction_id"] in known
    assert 0.55 < scored / len(known) < 0.65


def test_a_corrected_drop_differs_exactly_as_told(world: GeneratedWorld) -> None:
    correction = corrected_drop(world)
    assert correction == corrected_drop(generate(GeneratorSettings(transactions=2000)))
    before = {drop.path: drop for drop in world.drops}
    changed = [drop for drop in correction.drops if drop != before[drop.path]]
    data = {drop.path for drop in changed if not drop.path.endswith("_CONTROL.json")}
    assert data == {correction.lowered.path, correction.money.path}
    assert correction.vanished_path == correction.lowered.path
    controls = [drop for drop in changed if drop.path.endswith("_CONTROL.json")]
    assert len(controls) == 2
    for control in controls:
        assert_totals_hold(correction.drops, control)

    after = {drop.path: drop for drop in correction.drops}
    for change, identity, vanished in (
        (correction.lowered, "transaction_id", correction.vanished_transaction_id),
        (correction.money, "event_id", None),
    ):
        old = {row[identity]: row for row in rows_of(before[change.path]) if row[identity]}
        new = {row[identity]: row for row in rows_of(after[change.path]) if row[identity]}
        assert old.keys() - new.keys() == ({vanished} if vanished else set())
        assert new.keys() <= old.keys()
        different = [key for key in new if new[key] != old[key]]
        assert different == [change.identity]
        assert whole(old[change.identity]["amount"]) == change.before
        assert whole(new[change.identity]["amount"]) == change.after < change.before
        assert new[change.identity] == old[change.identity] | {"amount": str(change.after)}


def test_a_world_too_small_to_correct_says_so() -> None:
    with pytest.raises(ConfigError, match="too few"):
        corrected_drop(generate(GeneratorSettings(transactions=2)))


def test_the_landing_folder_holds_the_bytes_and_is_written_once(tmp_path: Path) -> None:
    world = generate(GeneratorSettings(transactions=200))
    written = write_drops(world.drops, tmp_path)
    assert len(written) == len(world.drops)
    assert all((tmp_path / drop.path).read_bytes() == drop.content for drop in world.drops)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == len(world.drops), "no partial file is left"
    assert write_drops(world.drops, tmp_path) == []


def test_a_correction_rewrites_only_what_changed_and_marks_its_days_again(tmp_path: Path) -> None:
    world = generate(GeneratorSettings(transactions=200))
    write_drops(world.drops, tmp_path)
    correction = corrected_drop(world)
    written = [str(path.relative_to(tmp_path)) for path in write_drops(correction.drops, tmp_path)]
    assert len(written) == 6
    for kind in ("money_events", "transactions"):
        names = [path for path in written if path.startswith(kind)]
        assert names[-1].endswith("_SUCCESS")
        assert any(name.endswith("_CONTROL.json") for name in names)
