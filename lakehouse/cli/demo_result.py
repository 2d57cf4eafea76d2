"""What the demo shows at its end: counts, one fraud in every layer, Gold now and before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from lakehouse.cli.counts import StepCounts, by_step
from lakehouse.cli.explain import show_lineage
from lakehouse.cli.hops import first_hops, last_hops
from lakehouse.cli.lineage import lineage, served
from lakehouse.cli.questions import answered
from lakehouse.cli.rows import rows_of
from lakehouse.cli.terminal import say, show_grid
from lakehouse.config import Config
from lakehouse.decision import load_rules
from lakehouse.delta import latest_version, path_of
from lakehouse.job import execute, job_named
from lakehouse.local.generator import GeneratedWorld
from lakehouse.serving import lookup
from lakehouse.tables import GOLD_TRANSACTIONS, WAITING_DAY

_LOOKED_UP = (
    "transaction_status", "settlement_status", "finality", "recommended_action", "fraud_score",
    "score_source", "fraud_reason_code", "policy_flag", "as_of",
)  # fmt: skip
_COUNTS = (
    "step", "delivered", "accepted", "duplicates", "quarantined", "held", "unexplained",
)  # fmt: skip
_ASKED_AT_ONCE = 1_000

_SUMMARY = """
SELECT {key},
       count(*) AS payments,
       round(100 * avg(CASE WHEN fraud_score >= {suspicious_from}
                            THEN 1.0 ELSE 0.0 END), 2) AS suspicious_percent,
       round(100 * avg(CASE WHEN settlement_status = 'CHARGEBACK'
                            THEN 1.0 ELSE 0.0 END), 2) AS disputed_percent,
       {disputed}
FROM gold.transactions {version}
WHERE event_date <> DATE '{waiting_day}'
GROUP BY {key} ORDER BY payments DESC, {key}"""
_DISPUTED = {
    # currencies can be added up in the base currency only
    "region": "sum(CASE WHEN settlement_status = 'CHARGEBACK' THEN amount_base "
    "ELSE 0 END) AS disputed_base_minor_units",
    "currency": "sum(chargeback_amount - chargeback_reversed_amount) AS disputed_minor_units",
}
_CHANGES = """
SELECT array_join(changed_groups, ', ') AS groups, count(DISTINCT transaction_id) AS transactions
FROM gold.transaction_history WHERE gold_version > {version}
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10"""
_SUSPECTS = """
SELECT transaction_id FROM gold.transactions
WHERE transaction_id IN ({ids}) AND event_date <> DATE '{waiting_day}'
ORDER BY decision IS NULL, settlement_status <=> 'CHARGEBACK' DESC, fraud_score DESC, 1 LIMIT 1"""


def counted(spark: SparkSession, config: Config) -> list[StepCounts]:
    """Where every record went, from the broker to DynamoDB."""
    # what is unexplained is shown with all the rest, and fails the demo then
    lines = execute(job_named("reconcile"), config, trigger="once", only_report=True)
    return [*first_hops(spark, config), *by_step(lines), *last_hops(spark, config)]


def unexplained(counts: list[StepCounts]) -> dict[str, int]:
    """The steps whose counts do not close, and by how much."""
    return {step.step: step.unexplained for step in counts if step.unexplained}


def example_of(
    spark: SparkSession, config: Config, world: GeneratedWorld, before: Mapping[str, Any]
) -> str | None:
    """A fraud of this world: one that live decided on and that was charged back, if there is any.

    None where Gold knows none of its frauds.
    """
    live = [suspect for suspect, item in before.items() if item]
    suspects = live or [payment.transaction_id for payment in world.truth.frauds]
    if not suspects:
        return None
    ids = ", ".join(f"'{suspect}'" for suspect in suspects[:_ASKED_AT_ONCE])
    found = answered(spark, config, _SUSPECTS.format(ids=ids, waiting_day=WAITING_DAY)).first()
    return str(found["transaction_id"]) if found else None


def show_result(
    spark: SparkSession,
    config: Config,
    counts: list[StepCounts],
    example: str | None,
    before: Mapping[str, Any],
    live_version: int,
) -> None:
    """Print it all; `before` is what DynamoDB said when Gold stood at `live_version`."""
    show_grid(
        "where every record went: delivered = accepted + duplicates + quarantined + held",
        _COUNTS,
        [[getattr(step, name) for name in _COUNTS] for step in counts],
    )
    if example:
        item = lookup(config.dynamodb, example)
        show_lineage(example, [*lineage(spark, config, example), *served(item)])
        _show_before_and_after(before.get(example), item)
    else:
        say("\nNo fraud of this week has reached Gold: there is none to explain.")
    _show_summaries(spark, config, live_version)


def _show_before_and_after(before: Any, after: Any) -> None:
    rows = [[name, _combined(before, name), _combined(after, name)] for name in _LOOKED_UP]
    outcomes = [_combined(item, "settlement_status") for item in (before, after)]
    when = "Gold knew its outcome" if outcomes[0] != outcomes[1] else "the drops of this run"
    show_grid(
        f"the same transaction in DynamoDB, before and after {when}",
        ["attribute", "before", "after"],
        rows,
    )


def _show_summaries(spark: SparkSession, config: Config, live_version: int) -> None:
    def by(key: str, version: str = "") -> tuple[list[str], list[list[Any]]]:
        return _answer(spark, config, _SUMMARY.format(
            key=key,
            disputed=_DISPUTED[key],
            version=version,
            suspicious_from=load_rules(config.rules.decision).reasons.suspicious_from,
            waiting_day=WAITING_DAY,
        ))  # fmt: skip

    newest = latest_version(spark, path_of(config, GOLD_TRANSACTIONS))
    title = f"Gold now, version {newest}"
    show_grid(f"suspicious and disputed payments by region ({title})", *by("region"))
    show_grid(f"... by currency ({title})", *by("currency"))
    if newest == live_version:
        say(
            f"\nNothing changed since Gold version {live_version}, before the drops of this run: "
            "all of it was known already."
        )
        return
    show_grid(
        f"... by region as of Gold version {live_version}, before the drops of this run",
        *by("region", f"VERSION AS OF {live_version}"),
    )
    show_grid(
        f"what changed since version {live_version}",
        ["field groups that changed", "transactions"],
        _answer(spark, config, _CHANGES.format(version=live_version))[1],
    )


def _combined(item: Any, name: str) -> Any:
    return (item or {}).get("combined", {}).get(name)


def _answer(spark: SparkSession, config: Config, sql: str) -> tuple[list[str], list[list[Any]]]:
    frame = answered(spark, config, sql)
    return frame.columns, rows_of(frame)
