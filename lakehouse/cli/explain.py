"""`lakehouse explain`: one transaction through every layer, who won each field, what is missing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

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
    from lakehouse.cli.lineage import Lineage, Sighting
    from lakehouse.cli.links import Served


def explain(
    transaction_id: TransactionId,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show a transaction from Kafka and files to DynamoDB; fail where a link is missing."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.lineage import served, traced
    from lakehouse.cli.links import Progress, broken_links
    from lakehouse.cli.streams import versions_behind
    from lakehouse.session import open_session

    with step("reading every layer"):
        spark = open_session(settings, "explain")
        with ThreadPoolExecutor(2) as pool:
            behind = pool.submit(versions_behind, spark, settings)
            store = pool.submit(_asked, settings, transaction_id).result()
            found = traced(spark, settings, transaction_id)
        progress = Progress(behind.result())
    sightings = [*found.sightings, *served(store.item)]
    if not sightings:
        raise TransactionNotFoundError(transaction_id, "any layer")
    missing, waiting = broken_links(found, progress, store, datetime.now(UTC))
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


def _asked(settings: Config, transaction_id: str) -> Served:
    from lakehouse.cli.links import Served
    from lakehouse.serving import lookup

    retention = timedelta(days=settings.dynamodb.retention_days)
    try:
        return Served(lookup(settings.dynamodb, transaction_id), True, retention)
    except IndexNotFoundError:
        # it answers: no job has told it anything
        return Served(None, True, retention)
    except ServiceError as fault:
        # the tables answer without it
        note(f"DynamoDB is left out: {fault}")
        return Served(None, False, retention)
