"""`make bench`: each figure as a ratio, measured in one run on real services."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from bench.audits import audits
from bench.backlog import fill
from bench.batch import batch_index, one_day_of_thirty
from bench.consolidation import larger_table, merges
from bench.enrichment import enrichment, growth
from bench.freshness import freshness
from bench.ingestion import ingestion
from bench.place import own_lake, own_place, own_topics
from bench.sync import sync
from lakehouse.monitoring import configure_logging, finish

SIZES = (100_000, 300_000, 1_000_000)  # of a log, below the one that is asked for


class Figure(StrEnum):
    """What can be measured."""

    INGESTION = "ingestion"
    ENRICHMENT = "enrichment"
    GROWTH = "growth"
    FRESHNESS = "freshness"
    BATCH = "batch"
    ONE_DAY = "one-day"
    SYNC = "sync"
    GOLD = "gold"
    LARGER_GOLD = "larger-gold"
    AUDITS = "audits"


def bench(
    figures: Annotated[list[Figure] | None, typer.Argument(help="Which; else all.")] = None,
    records: Annotated[
        int, typer.Option(min=1000, help="Payments of backlog, log, month.")
    ] = 1_000_000,
    history: Annotated[int, typer.Option(min=1000, help="Payments in seventy days.")] = 500_000,
    gold: Annotated[int, typer.Option(min=100_000, help="Rows of Gold.")] = 5_000_000,
    larger_gold: Annotated[
        int, typer.Option(min=500_000, help="Rows of the larger Gold; the other has a tenth.")
    ] = 20_000_000,
    rate: Annotated[int, typer.Option(min=1, help="Payments per second, for freshness.")] = 200,
    seconds: Annotated[int, typer.Option(min=10, help="How long they come.")] = 120,
    items: Annotated[
        int, typer.Option(min=100, help="Changed transactions that DynamoDB is told of.")
    ] = 20_000,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 2,
) -> None:
    """Measure what the platform costs beside the bare engine."""
    wanted = figures or list(Figure)
    # first: these need no service, and a heap that nothing else has filled
    if Figure.BATCH in wanted:
        with own_lake() as config:
            batch_index(config, [*(size for size in SIZES if size < records), records], rounds)
    if Figure.ONE_DAY in wanted:
        with own_lake() as config:
            one_day_of_thirty(config, records, rounds)
    if Figure.SYNC in wanted:
        with own_place() as config:
            sync(config, items, rounds)
    if Figure.GOLD in wanted:
        with own_lake() as config:
            merges(config, gold, rounds)
    if Figure.LARGER_GOLD in wanted:
        with own_lake() as config:
            larger_table(config, larger_gold, rounds)
    if Figure.AUDITS in wanted:
        with own_place() as config:
            audits(config)
    if not {Figure.INGESTION, Figure.ENRICHMENT, Figure.GROWTH, Figure.FRESHNESS} & set(wanted):
        return
    with own_place() as config:
        if Figure.FRESHNESS in wanted:
            freshness(config, rate, seconds, warm_up=60)
    with own_place() as config:
        if Figure.GROWTH in wanted:
            apart = own_topics(config, "growth")
            fill(apart, history, days=70)
            growth(apart, history)
        if {Figure.INGESTION, Figure.ENRICHMENT}.intersection(wanted):
            fill(config, records)
        if Figure.INGESTION in wanted:
            ingestion(config, records, rounds)
        if Figure.ENRICHMENT in wanted:
            enrichment(config, records, rounds)


if __name__ == "__main__":
    configure_logging()
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(bench)
    finish(lambda: app(standalone_mode=False), debug=True)
