"""`make bench`: each figure as a ratio, measured in one run on real services."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
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
from bench.steady_runs import steady_runs
from bench.sync import sync
from lakehouse.config import Config
from lakehouse.monitoring import configure_logging, finish

Place = Callable[[], AbstractContextManager[Config]]

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
    STEADY_RUNS = "steady-runs"
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
    runs: Annotated[
        int, typer.Option(min=20, help="Small consolidations, with maintenance every ten.")
    ] = 100,
    rounds: Annotated[int, typer.Option(min=1, help="The best of so many counts.")] = 2,
) -> None:
    """Measure what the platform costs beside the bare engine."""
    wanted = figures or list(Figure)
    # first: these need no stream, and a heap that nothing else has filled
    sizes = [*(size for size in SIZES if size < records), records]
    apart: Mapping[Figure, tuple[Place, Callable[[Config], None]]] = {
        Figure.BATCH: (own_lake, lambda config: batch_index(config, sizes, rounds)),
        Figure.ONE_DAY: (own_lake, lambda config: one_day_of_thirty(config, records, rounds)),
        Figure.SYNC: (own_place, lambda config: sync(config, items, rounds)),
        Figure.GOLD: (own_lake, lambda config: merges(config, gold, rounds)),
        Figure.LARGER_GOLD: (own_lake, lambda config: larger_table(config, larger_gold, rounds)),
        Figure.STEADY_RUNS: (own_lake, lambda config: steady_runs(config, runs)),
        Figure.AUDITS: (own_place, audits),
    }
    for figure, (place, measure) in apart.items():
        if figure in wanted:
            with place() as config:
                measure(config)
    if not {Figure.INGESTION, Figure.ENRICHMENT, Figure.GROWTH, Figure.FRESHNESS} & set(wanted):
        return
    with own_place() as config:
        if Figure.FRESHNESS in wanted:
            freshness(config, rate, seconds, warm_up=60)
    with own_place() as config:
        if Figure.GROWTH in wanted:
            of_growth = own_topics(config, "growth")
            fill(of_growth, history, days=70)
            growth(of_growth, history)
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
