"""What was known and decided, as of any time: recomputed, compared, and what caused it; on demand.

The options choose the question: `--as-of` (Gold as it was), `--diff-from` with `--diff-to` (what
changed, and why), `--decision` (one transaction decided again, from its evidence and from what was
known then; with `--as-of`, as far as it was decided by then), `--table` (any table at a version).
Without them: every live decision, from its recorded evidence.
"""

from __future__ import annotations

from typing import Annotated

import typer

from gold.as_of import Moment
from gold.audit_report import Report, show
from gold.deciding import DecisionReport, decided_again
from gold.questions import (
    DecisionsReport,
    decisions_by_evidence,
    differences_between,
    rows_as_of,
    rows_of_table,
)
from gold.selection import Selection
from lakehouse.context import Lakehouse
from lakehouse.errors import DecisionsDifferError
from lakehouse.job import run
from lakehouse.tables import table_named
from lakehouse.texts import typed_instant

SHOWN = 100
"""At most so many rows or differences are shown, unless told; a report says how many there are."""

_MOMENT = "A version of Gold, or an instant or day in UTC (2026-03-09T14:03:00Z)."


def audit(
    lake: Lakehouse,
    transaction_id: Annotated[
        list[str] | None, typer.Option(help="Only this transaction; may be repeated.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Only this user's (as-of and diff).")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help="Only NAME=VALUE (as-of and diff); may be repeated.")
    ] = None,
    as_of: Annotated[str | None, typer.Option(help=f"Gold as it was: {_MOMENT}")] = None,
    diff_from: Annotated[str | None, typer.Option(help=f"What changed since: {_MOMENT}")] = None,
    diff_to: Annotated[str | None, typer.Option(help="... until then.")] = None,
    decision: Annotated[
        str | None, typer.Option(help="Decide this transaction again; goes with --as-of.")
    ] = None,
    table: Annotated[str | None, typer.Option(help="Show rows of this table instead.")] = None,
    version: Annotated[int | None, typer.Option(help="... as of this version.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Rows to show.")] = SHOWN,
    as_json: Annotated[bool, typer.Option("--json", help="A report for programs.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the exit code.")] = False,
) -> Report:
    """Answer one question of an auditor, and show the answer, unless `quiet`.

    Raises:
        DecisionsDifferError: a decision comes out otherwise; the report was shown before.
        LakehouseError: what was asked for is not there, or nobody can tell any more: see
            `questions` and `deciding`.
    """
    _check_one_question(as_of, diff_from, diff_to, decision, table, version)
    if (user is not None or where) and (decision or table or not (as_of or diff_from)):
        raise typer.BadParameter("--user and --where go with --as-of or --diff-from alone")
    selection = Selection.of(transaction_id or (), user, where or ())
    ids = None if selection.transactions is None else [*selection.transactions]
    report: Report
    if table is not None:
        report = rows_of_table(lake, table_named(table), version, ids, limit)
    elif decision is not None:
        asked = None if as_of is None else _moment(as_of, "--as-of")
        report = decided_again(lake, decision.strip().lower(), asked)
    elif diff_from is not None and diff_to is not None:
        before, after = _moment(diff_from, "--diff-from"), _moment(diff_to, "--diff-to")
        report = differences_between(lake, before, after, selection, limit)
    elif as_of is not None:
        report = rows_as_of(lake, _moment(as_of, "--as-of"), selection, limit)
    else:
        report = decisions_by_evidence(lake, ids, limit)
    if not quiet:
        show(report, as_json)
    _check_decisions(report)
    return report


def _check_decisions(report: Report) -> None:
    if isinstance(report, DecisionsReport) and report.equal < report.decisions:
        raise DecisionsDifferError(report.decisions, report.decisions - report.equal)
    if isinstance(report, DecisionReport) and not report.is_equal:
        different = sum(not each.is_equal for each in report.decisions)
        raise DecisionsDifferError(len(report.decisions), max(different, 1))


def _check_one_question(
    as_of: str | None,
    diff_from: str | None,
    diff_to: str | None,
    decision: str | None,
    table: str | None,
    version: int | None,
) -> None:
    if (diff_from is None) != (diff_to is None):
        raise typer.BadParameter("--diff-from goes with --diff-to")
    if version is not None and table is None:
        raise typer.BadParameter("a version is of a table: add --table", param_hint="--version")
    questions = [decision or as_of, diff_from, table]
    if sum(each is not None for each in questions) > 1:
        raise typer.BadParameter("one question at a time: as-of, diff, decision or table")


def _moment(text: str, option: str) -> Moment:
    if text.strip().isdecimal():
        return int(text)
    try:
        return typed_instant(text.strip())
    except ValueError as error:
        raise typer.BadParameter(f"{error}, nor a version", param_hint=option) from None


if __name__ == "__main__":
    run(audit)
