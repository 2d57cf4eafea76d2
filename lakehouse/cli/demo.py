"""`lakehouse demo`: one generated week through every layer, on real services, and the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from pyspark.sql import SparkSession

from lakehouse.cli.explain import lineage, show_lineage
from lakehouse.cli.generate import generator_settings, send
from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.query import answered
from lakehouse.cli.terminal import console, show_grid, step
from lakehouse.config import Config
from lakehouse.delta import latest_version, path_of
from lakehouse.dynamodb import lookup as find_item
from lakehouse.job import execute, job_named
from lakehouse.local.generator import GeneratedWorld, GeneratorSettings, generate, write_drops
from lakehouse.local.services import running_services
from lakehouse.records.gold import Reconciliation
from lakehouse.session import open_session
from lakehouse.tables import GOLD_TRANSACTIONS

_USUAL = GeneratorSettings()
_REFERENCE_KINDS = ("policies", "fx_rates")
_LOOKED_UP = (
    "transaction_status", "settlement_status", "finality", "recommended_action", "fraud_score",
    "score_source", "fraud_reason_code", "policy_flag", "as_of",
)  # fmt: skip

_COUNTS = (
    "step", "delivered", "accepted", "duplicates", "quarantined", "held", "unexplained",
)  # fmt: skip

_BY = """
SELECT {key},
       count(*) AS payments,
       round(100 * avg(CASE WHEN fraud_score >= 0.6
                            THEN 1.0 ELSE 0.0 END), 2) AS suspicious_percent,
       round(100 * avg(CASE WHEN chargeback_amount > chargeback_reversed_amount
                            THEN 1.0 ELSE 0.0 END), 2) AS disputed_percent,
       {disputed}
FROM gold.transactions {version}
WHERE event_date <> DATE '1970-01-01'
GROUP BY {key} ORDER BY payments DESC, {key}"""
_BY_REGION = _BY.format(
    key="region",
    disputed="sum(CASE WHEN chargeback_amount > chargeback_reversed_amount THEN amount_base ELSE 0 "
    "END) AS disputed_base_minor_units",
    version="{version}",
)
_BY_CURRENCY = _BY.format(
    key="currency",
    disputed="sum(chargeback_amount - chargeback_reversed_amount) AS disputed_minor_units",
    version="{version}",
)


def demo(
    config: ConfigPath = DEFAULT_CONFIG,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = _USUAL.seed,
    transactions: Annotated[int, typer.Option(help="Payments.")] = _USUAL.transactions,
) -> None:
    """Start the services, run every layer, show the result, and stop what was started.

    Data and tables are kept: run it again, ask them by `lakehouse query`, or `make clean`.
    """
    settings = Config.load(config)
    started = time.monotonic()
    world = generate(generator_settings(seed, _USUAL.start, _USUAL.days, transactions))
    with _services(settings):
        spark = open_session(settings, "demo")
        before, first_version = _live_half(spark, settings, world)
        counts = _batch_half(settings, world)
        example = _example(spark, settings)
        _show(spark, settings, counts, example, before.get(example), first_version)
    console().print(f"\nDone in {time.monotonic() - started:.0f} s. Kept: {settings.lake.root}")
    console().print(f"Next: lakehouse services start; lakehouse explain {example}")


@contextmanager
def _services(config: Config) -> Iterator[None]:
    with step("starting Kafka, DynamoDB Local and the scoring service"):
        context = running_services(config)
        context.__enter__()
    try:
        yield
    finally:
        context.__exit__(None, None, None)
        print("- stopped the services that this demo started")


def _live_half(
    spark: SparkSession, config: Config, world: GeneratedWorld
) -> tuple[dict[str, Any], int]:
    """Deliver policies, rates and topics; return what DynamoDB said then, and Gold's version."""
    landing = Path(config.lake.landing)
    reference = [drop for drop in world.drops if drop.path.startswith(_REFERENCE_KINDS)]
    write_drops(reference, landing)
    _run(config, "load_drops", "build_batch")
    send(config, world)
    _run(config, "ingest_transactions", "ingest_fraud_scores", "enrich_live")
    _run(config, "consolidate", "record_history", "sync_dynamodb")
    suspects = [payment.transaction_id for payment in world.truth.frauds]
    items = {suspect: find_item(config.dynamodb, suspect) for suspect in suspects}
    return items, latest_version(spark, path_of(config, GOLD_TRANSACTIONS))


def _batch_half(config: Config, world: GeneratedWorld) -> list[Reconciliation]:
    """Deliver the daily log, offline scores and the money's later life; return the counts."""
    write_drops(world.drops, Path(config.lake.landing))
    _run(config, "load_drops", "build_batch")
    _run(config, "consolidate", "record_history", "sync_dynamodb")
    with step("reconcile"):
        counts: list[Reconciliation] = execute(job_named("reconcile"), config, trigger="once")
    return counts


def _run(config: Config, *jobs: str) -> None:
    for name in jobs:
        with step(name):
            execute(job_named(name), config, trigger="once")


def _example(spark: SparkSession, config: Config) -> str:
    """A payment that live decided on and that was charged back: the highest score of them."""
    found = answered(
        spark,
        config,
        "SELECT transaction_id FROM gold.transactions WHERE settlement_status = 'CHARGEBACK' "
        "AND decision IS NOT NULL AND fraud_score IS NOT NULL "
        "ORDER BY fraud_score DESC, transaction_id LIMIT 1",
    ).first()
    return str(found["transaction_id"]) if found else ""


def _show(
    spark: SparkSession,
    config: Config,
    counts: list[Reconciliation],
    example: str,
    before: Any,
    first_version: int,
) -> None:
    show_grid(
        "where every record went: delivered = accepted + duplicates + quarantined + held",
        _COUNTS,
        [[getattr(step, name) for name in _COUNTS] for step in counts],
    )
    show_lineage(example, lineage(spark, config, example))
    after = find_item(config.dynamodb, example)
    show_grid(
        "the same transaction in DynamoDB, before and after Gold knew its outcome",
        ["attribute", "before", "after"],
        [[name, _combined(before, name), _combined(after, name)] for name in _LOOKED_UP],
    )
    show_grid("suspicious and disputed payments by region (Gold, now)",
              *_answer(spark, config, _BY_REGION.format(version="")))  # fmt: skip
    show_grid("... by currency", *_answer(spark, config, _BY_CURRENCY.format(version="")))
    version = f"VERSION AS OF {first_version}"
    show_grid(f"by region as of Gold version {first_version}, when only live had spoken",
              *_answer(spark, config, _BY_REGION.format(version=version)))  # fmt: skip
    show_grid(
        f"what changed since version {first_version}",
        ["field groups that changed", "transactions"],
        _rows(spark, config, "SELECT array_join(changed_groups, ', ') AS groups, "
              "count(DISTINCT transaction_id) AS transactions FROM gold.transaction_history "
              f"WHERE gold_version > {first_version} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"),
    )  # fmt: skip


def _combined(item: Any, name: str) -> Any:
    return (item or {}).get("combined", {}).get(name)


def _rows(spark: SparkSession, config: Config, sql: str) -> list[list[Any]]:
    return _answer(spark, config, sql)[1]


def _answer(spark: SparkSession, config: Config, sql: str) -> tuple[list[str], list[list[Any]]]:
    frame = answered(spark, config, sql)
    return frame.columns, [list(row) for row in frame.collect()]
