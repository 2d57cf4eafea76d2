"""`lakehouse explain`: one transaction through every layer, who won each field, what is missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, TransactionId
from lakehouse.cli.terminal import note, say, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.errors import (
    IndexNotFoundError,
    LineageBrokenError,
    ServiceError,
    TransactionNotFoundError,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from lakehouse.cli.lineage import Lineage, Sighting
    from lakehouse.cli.links import Look, Served


def explain(
    transaction_id: TransactionId,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show a transaction from Kafka and files to DynamoDB; fail where a link is missing."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.lineage import served
    from lakehouse.cli.links import missing_twice
    from lakehouse.session import open_session

    be_brief()
    with step("reading every layer"):
        spark = open_session(settings, "explain")
        look = missing_twice(partial(_look, spark, settings, transaction_id))
    found, missing, waiting = look.found, look.missing, look.waiting
    sightings = [*found.sightings, *served(look.store.item)]
    if not sightings:
        raise TransactionNotFoundError(transaction_id, "any layer")
    if as_json:
        show_json({
            "transaction_id": transaction_id,
            "sightings": [asdict(sighting) for sighting in sightings],
            "gold_versions": [
                {name: value for name, value in vars(state).items() if name != "contributions"}
                for state in found.states
            ],
            "winners": [asdict(win) for win in found.wins],
            "waiting": waiting,
            "missing": missing,
        })  # fmt: skip
    else:
        show_lineage(transaction_id, sightings)
        _show_gold(found)
        for each in waiting:
            say(f"not yet there: {each}")
        for each in missing:
            say(f"MISSING: {each}")
    if missing:
        raise LineageBrokenError(transaction_id, missing)


def show_lineage(transaction_id: str, sightings: list[Sighting]) -> None:
    """Print the sightings as a table."""
    rows = [[s.table, s.at, s.coordinates, s.tells] for s in sightings]
    show_grid(f"transaction {transaction_id}", ["table", "at (UTC)", "where", "what"], rows)


def _show_gold(found: Lineage) -> None:
    if found.states:
        show_grid(
            "what each Gold version knew of it, by gold.transaction_history",
            ["version", "from (UTC)", "field groups that changed", "contributions that came"],
            [[s.version, s.known_from, ", ".join(s.changed_groups), "\n".join(s.brought)]
             for s in found.states],
        )  # fmt: skip
    if found.wins:
        show_grid(
            "who won each field, and why (conf/precedence.yaml)",
            ["group", "fields", "won by", "identity", "why"],
            [[w.group, ", ".join(w.fields), w.source, w.identity, w.why] for w in found.wins],
        )


def _look(spark: SparkSession, settings: Config, transaction_id: str, is_second: bool) -> Look:
    """All layers and the store, at once; before them, in a second look, how far the jobs are."""
    from lakehouse.cli.lineage import traced
    from lakehouse.cli.links import Look, Progress, broken_links
    from lakehouse.cli.streams import versions_behind

    with ThreadPoolExecutor(2) as pool:
        behind = pool.submit(versions_behind, spark, settings)
        if is_second:
            wait([behind])
        store = pool.submit(_asked, settings, transaction_id, is_second)
        found = traced(spark, settings, transaction_id)
    missing, waiting = broken_links(
        found, Progress(behind.result()), store.result(), datetime.now(UTC)
    )
    return Look(found, store.result(), missing, waiting)


def _asked(settings: Config, transaction_id: str, is_second: bool) -> Served:
    from lakehouse.cli.links import Served
    from lakehouse.serving import lookup

    retention = timedelta(days=settings.dynamodb.retention_days)
    try:
        return Served(lookup(settings.dynamodb, transaction_id), True, retention)
    except IndexNotFoundError:
        # it answers: no job has told it anything
        return Served(None, True, retention)
    except ServiceError as fault:
        # the tables answer without it, and what it serves is a missing link
        if not is_second:
            note(f"DynamoDB is left out: {fault}")
        return Served(None, False, retention)
