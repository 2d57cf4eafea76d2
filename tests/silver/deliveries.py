"""Deliveries without files: rows of Bronze and their manifest, as load_drops leaves them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from lakehouse.context import Lakehouse
from lakehouse.records.codes import Verdict
from lakehouse.tables import BRONZE_DROP_FILES, DROPS

DAY = date(2026, 3, 3)


def transaction_id(number: int) -> str:
    """The id of the transaction of that number."""
    return f"{number:08d}-0000-4000-8000-000000000000"


def a_log_row(number: int, **changes: Any) -> dict[str, Any]:
    """A row of the daily transaction log: ten o'clock UTC, 2 March 2026, 1000 cents."""
    row = {
        "transaction_id": transaction_id(number),
        "user_id": f"user-{number}",
        "timestamp": "2026-03-02T10:00:00Z",
        "amount": "1000",
        "currency": "USD",
        "country": "DE",
        "merchant_id": "m-1",
        "payment_token": "tok-1",
        "transaction_status": "AUTHORIZED",
    }
    return row | changes


def a_money_event(number: int, **changes: Any) -> dict[str, Any]:
    """A settlement of the transaction of that number."""
    row = {
        "event_id": f"{number:08d}-0000-4000-9000-000000000000",
        "transaction_id": transaction_id(number),
        "event_type": "SETTLED",
        "amount": "1000",
        "currency": "USD",
        "timestamp": "2026-03-03T08:00:00Z",
    }
    return row | changes


def an_offline_score(number: int, score: str, **changes: Any) -> dict[str, Any]:
    """An output of the offline model for the transaction of that number."""
    row = {
        "model_version": "offline-1",
        "transaction_id": transaction_id(number),
        "fraud_score": score,
        "explanations": {"amount": 2.5},
        "inference_time": "2026-03-03T02:00:00Z",
    }
    return row | changes


def a_policy(policy_id: str, data: Any, since: str = "2026-01-01T00:00:00Z") -> dict[str, Any]:
    """A policy as of an instant."""
    text = data if isinstance(data, str) else json.dumps(data)
    return {
        "policy_id": policy_id,
        "policy_name": f"policy {policy_id}",
        "policy_data": text,
        "effective_date": since,
    }


def a_rate(currency: str, rate: str, day: str = "2026-03-02") -> dict[str, Any]:
    """Units of a currency per euro."""
    return {"rate_date": day, "base": "EUR", "currency": currency, "rate": rate}


def as_lines(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as the text of a JSON lines file."""
    return "".join(f"{json.dumps(row)}\n" for row in rows)


def deliver(
    lake: Lakehouse,
    kind: str,
    rows: Sequence[dict[str, Any] | str],
    *,
    day: date = DAY,
    name: str = "a.jsonl",
    revision: int = 0,
    loaded_at: datetime = datetime(2026, 3, 9, tzinfo=UTC),
) -> None:
    """Load one file: its rows into Bronze, then its line in the manifest; a text is kept as is."""
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    path = f"{kind}/date={day}/{name}"
    digest = hashlib.sha256("\n".join([*lines, str(revision)]).encode()).hexdigest()
    table = DROPS[kind]
    found = [
        (day, path, digest, revision, number, "json", None, line, 0)
        for number, line in enumerate(lines, start=1)
    ]
    if found:
        lake.append(lake.spark.createDataFrame(found, table.schema), table)
    file = (
        kind, day, path, digest, revision, 100, loaded_at, "json", len(lines),
        Verdict.LOADED.value, None, None, None, loaded_at,
    )  # fmt: skip
    manifest = lake.spark.createDataFrame([file], BRONZE_DROP_FILES.schema)
    lake.append(manifest, BRONZE_DROP_FILES)
