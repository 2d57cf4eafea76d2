"""Rule files and checks that name only what matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lakehouse.quality.measures import Measure, Measurement
from lakehouse.quality.rules import Anomaly, Gate
from lakehouse.records.codes import Engine

SIZE = {"kind": "size"}


def a_row_rule(rule_id: str = "rule", check: str = "amount > 0", **changes: Any) -> dict[str, Any]:
    """A rule of a row that warns."""
    return {"id": rule_id, "severity": "warn", "message": "it is wrong", "check": check} | changes


def a_gate(rule_id: str = "gate", **changes: Any) -> dict[str, Any]:
    """A gate that wants a row."""
    bounds = {} if {"at_least", "at_most"} & changes.keys() else {"at_least": 1}
    gate = {"id": rule_id, "severity": "error", "message": "the figure", "measure": SIZE}
    return gate | bounds | changes


def an_anomaly(rule_id: str = "anomaly", **changes: Any) -> dict[str, Any]:
    """An anomaly of the number of rows that speaks from the third earlier day on."""
    anomaly = {"id": rule_id, "severity": "error", "message": "the figure", "measure": SIZE}
    return anomaly | {"min_days": 3, "deviations": 3} | changes


def write_rules(
    folder: Path,
    kind: str = "transactions",
    *,
    rows: Sequence[Mapping[str, Any]] = (),
    gates: Sequence[Mapping[str, Any]] = (),
    anomalies: Sequence[Mapping[str, Any]] = (),
    name: str | None = None,
    **further: Any,
) -> Path:
    """Write one rule file; `folder` is made."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / (name or f"{kind}.yaml")
    sections = {"rows": list(rows), "gates": list(gates), "anomalies": list(anomalies)}
    file.write_text(yaml.safe_dump({"kind": kind, **sections, **further}))
    return file


def gate_of(**changes: Any) -> Gate:
    """A gate as it is loaded."""
    return Gate(**a_gate(**changes))


def anomaly_of(**changes: Any) -> Anomaly:
    """An anomaly as it is loaded."""
    return Anomaly(**an_anomaly(**changes))


def measured(check: Gate | Anomaly, value: float | None) -> Measurement:
    """That somebody measured just this."""
    values: dict[Measure, float | None] = {check.measure: value}
    return Measurement(Engine.SQL, values)
