"""Answers of the audit as people read them, and as programs do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from gold.as_of import Standing
from gold.deciding import AuditedDecision, DecisionReport
from gold.differences import TransactionChange
from gold.proving import Difference
from gold.questions import AsOfReport, DecisionsReport, DifferenceReport, RowsReport

Report = DecisionsReport | DecisionReport | AsOfReport | DifferenceReport | RowsReport


def show(report: Report, as_json: bool) -> None:
    """Print a report: lines, or one JSON document (decimals as texts, instants in UTC)."""
    if as_json:
        print(json.dumps(asdict(report) | _verdict(report), default=_plain))
    else:
        print("\n".join(_lines(report)))


def _verdict(report: Report) -> dict[str, Any]:
    if not isinstance(report, DecisionReport):
        return {}
    return {"is_equal": report.is_equal, "outcome": str(report.outcome)}


def _lines(report: Report) -> Iterator[str]:
    match report:
        case DecisionsReport():
            yield from _of_decisions(report)
        case DecisionReport():
            yield from _of_decision(report)
        case AsOfReport():
            yield from _of_rows_then(report)
        case DifferenceReport():
            yield from _of_differences(report)
        case RowsReport():
            yield f"{report.table} at version {report.version}: {report.rows} rows"
            yield from _each_row(report.shown, report.rows)


def _of_decisions(report: DecisionsReport) -> Iterator[str]:
    yield f"decisions checked: {report.decisions}, equal: {report.equal}"
    for decision in report.differences:
        for found in decision["differences"]:
            yield (
                f"  event {decision['event_id']}: {found['field']} was recorded as "
                f"{found['recorded']}, its evidence gives {found['recomputed']}"
            )


def _of_decision(report: DecisionReport) -> Iterator[str]:
    then = f", as of {report.as_of}" if report.as_of else ""
    yield f"decisions of {report.transaction_id}{then}: {len(report.decisions)}"
    for decision in report.decisions:
        yield ""
        yield from _of_one(decision)
    yield ""
    if report.gold is None:
        yield "Gold does not have it yet"
        return
    where = f"Gold at version {report.gold.version} (by {report.gold.answered_by})"
    yield from (f"note: {note}" for note in report.gold.notes)
    if not report.gold.differences:
        yield f"{where} says the same of the first"
    yield from _differing(report.gold.differences, f"{where} says")


def _of_one(decision: AuditedDecision) -> Iterator[str]:
    told = decision.told
    role = "what the gateway goes by" if decision.is_first else "a later event"
    yield f"event {told['event_id']} ({role}), {told['coordinates']}"
    yield f"  decided {_word(told['decided_at'])}, committed {_word(told['committed_at'])}"
    yield (
        f"  told {told['recommended_action']}: score {_word(told['fraud_score'])} "
        f"({told['score_source']}, {told['fraud_reason_code']}), policies {told['policy_flag']}"
    )
    yield (
        f"  in force then (silver.policies at version {_word(decision.policies_version)}): "
        f"{', '.join(decision.policies_in_force) or 'none'}"
    )
    yield from (f"  note: {note}" for note in decision.notes)
    for found, source in (
        (decision.by_evidence, "its recorded evidence"),
        (decision.by_knowledge, "what was known then"),
    ):
        if not found:
            yield f"  by {source}: equal{', as far as it can be told' if decision.untold else ''}"
        yield from _differing(found, f"{source} gives", "  ")
    for each in decision.untold:
        yield (
            f"  CANNOT BE TOLD {each.field}: recorded {_word(each.recorded)}, what may have been "
            f"known gives {_word(each.recomputed)}"
        )


def _differing(differences: Sequence[Difference], gives: str, before: str = "") -> Iterator[str]:
    for each in differences:
        yield (
            f"{before}DIFFERS {each.field}: recorded {_word(each.recorded)}, "
            f"{gives} {_word(each.recomputed)}"
        )


def _of_rows_then(report: AsOfReport) -> Iterator[str]:
    yield f"Gold as of {_standing(report.standing)}, by {report.answered_by}"
    yield from (f"note: {note}" for note in report.notes)
    yield f"transactions: {report.transactions}"
    yield from _each_row(report.shown, report.transactions)


def _of_differences(report: DifferenceReport) -> Iterator[str]:
    by = " and ".join(dict.fromkeys(report.answered_by))
    yield f"from {_standing(report.before)}"
    yield f"to {_standing(report.after)}, by {by}"
    yield from (f"note: {note}" for note in report.notes)
    yield f"transactions that changed: {report.transactions}"
    for change in report.shown:
        yield ""
        yield from _of_change(change)
    if report.transactions > len(report.shown):
        yield f"\n(the first {len(report.shown)})"


def _of_change(change: TransactionChange) -> Iterator[str]:
    yield f"{change.transaction_id}: {change.change}"
    for each in change.fields:
        cause = ", ".join(each.caused_by) or "no contribution (other rules, or a changed row)"
        group = f" [{each.group}]" if each.group else ""
        yield f"  {each.field}{group}: {_word(each.before)} -> {_word(each.after)}, by {cause}"
        if each.why:
            yield f"    {each.why}"
    for contribution in change.contributions:
        yield (
            f"  {contribution.change} {contribution.source} {contribution.identity} "
            f"revision {contribution.revision}, {contribution.coordinates}"
        )


def _standing(standing: Standing) -> str:
    until = f" until {_word(standing.known_until)}" if standing.known_until else ", and still"
    stood = f"stood from {_word(standing.known_from)}{until}" if standing.known_from else "of old"
    named = "" if standing.asked == f"version {standing.version}" else f"{standing.asked}, "
    return f"{named}version {standing.version} ({stood})"


def _each_row(rows: Sequence[Any], count: int) -> Iterator[str]:
    for row in rows:
        yield ""
        for name, value in row.items():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                yield f"  {name}:"
                yield from (f"    {_brief(each)}" for each in value)
            else:
                yield f"  {name}: {_word(value)}"
    if count > len(rows):
        yield f"\n(the first {len(rows)})"


def _brief(part: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_word(value)}" for name, value in part.items() if value is not None)


def _word(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict | list):
        return json.dumps(value, default=_plain)
    return str(_plain(value)) if isinstance(value, date) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
