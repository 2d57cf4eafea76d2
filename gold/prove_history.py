"""Check chain, signed heads, Gold's files and gold.transaction_history against each other."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated

import typer

from gold.chain import Break, files_kept, links_of, verify
from gold.evidence import UNREADABLE, evidence_breaks
from gold.following import NOTHING_YET, gold_table_id, newest_gold_version
from gold.head import verify_heads
from lakehouse.context import Lakehouse
from lakehouse.delta import exists, path_of
from lakehouse.errors import HistoryBrokenError, TableNotFoundError
from lakehouse.heads import Heads, heads_of
from lakehouse.job import run
from lakehouse.monitoring import first_line
from lakehouse.records.gold import ChainLink
from lakehouse.secret_stores import secret
from lakehouse.tables import (
    GOLD_HISTORY_CHAIN,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    Table,
)

_AT_ONCE = 8  # in a bucket each is a matter of waiting


@dataclass(frozen=True)
class HistoryReport:
    """What was checked, and each break by its Gold version."""

    complete_through: int
    newest_version: int
    links: int
    heads: int
    files: int
    history_rows: int
    breaks: list[Break]


def prove_history(
    lake: Lakehouse,
    as_json: Annotated[bool, typer.Option("--json", help="A report for programs.")] = False,
) -> HistoryReport:
    """Verify the chain, its signed heads, files inside the time-travel horizon, and history.

    Raises:
        HistoryBrokenError: something does not hold; the report was shown before.
        TableNotFoundError: nothing is recorded yet.
        HeadNotKeptError: the place of signed heads does not answer.
    """
    report = _report(lake)
    _show(report, as_json)
    if report.breaks:
        raise HistoryBrokenError([str(each) for each in report.breaks])
    return report


def _report(lake: Lakehouse) -> HistoryReport:
    for table in (GOLD_TRANSACTION_HISTORY, GOLD_HISTORY_CHAIN):
        _check_exists(lake, table)
    since = lake.clock() - timedelta(days=lake.config.audit.horizon_days)
    links, heads = _links_and_heads(lake)
    key = secret(lake.config.history.signing_key).encode("utf-8")
    last = links[-1].gold_version if links else NOTHING_YET
    breaks = verify(links)
    try:
        _check_exists(lake, GOLD_TRANSACTIONS)
        newest, table_id = newest_gold_version(lake), gold_table_id(lake)
    except UNREADABLE as fault:
        # a log with a gap: whatever else can be checked is checked
        newest, table_id = last, None
        breaks.append(Break(last, f"and all of Gold cannot be read: {first_line(str(fault))}"))
    breaks += verify_heads(heads, links, table_id, key)
    if links:
        breaks += evidence_breaks(lake, links, since)
    return HistoryReport(
        complete_through=last,
        newest_version=newest,
        links=len(links),
        heads=len(heads),
        files=len(files_kept(links, since)),
        history_rows=sum(one.rows_changed for one in links),
        breaks=breaks,
    )


def _check_exists(lake: Lakehouse, table: Table) -> None:
    # a question creates no table
    if not exists(lake.spark, path_of(lake.config, table)):
        raise TableNotFoundError(table.name, table.written_by)


def _links_and_heads(lake: Lakehouse) -> tuple[Sequence[ChainLink], dict[int, bytes]]:
    place = heads_of(lake.config.history.heads)
    # in this order: the head of each link that is read here was stored before the link
    links = links_of(lake.read(GOLD_HISTORY_CHAIN))
    heads = _stored(place)
    if heads and (not links or max(heads) > links[-1].gold_version):
        # a run may have stored it a moment ago
        links = links_of(lake.read(GOLD_HISTORY_CHAIN))
        heads = _stored(place)
    return links, heads


def _stored(place: Heads) -> dict[int, bytes]:
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        versions = place.versions()
        contents = pool.map(place.get, versions)
        # one that went away since it was listed is no head, and said to be none
        return {
            version: content or b"" for version, content in zip(versions, contents, strict=True)
        }


def _show(report: HistoryReport, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(report)))
        return
    print(f"complete through Gold version {report.complete_through} of {report.newest_version}")
    print(f"links of the chain: {report.links}, signed heads: {report.heads}")
    print(f"data files hashed: {report.files}, rows of history: {report.history_rows}")
    for each in report.breaks:
        print(f"  {each}")
    if not report.breaks:
        print("everything holds")


if __name__ == "__main__":
    run(prove_history)
