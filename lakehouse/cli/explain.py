"""`lakehouse explain`: the rows of one transaction in every layer, in the order of the flow."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, TransactionId
from lakehouse.cli.terminal import note, show_grid, show_json, step
from lakehouse.config import Config
from lakehouse.errors import ServiceError, TransactionNotFoundError

if TYPE_CHECKING:
    from lakehouse.cli.lineage import Sighting


def explain(
    transaction_id: TransactionId,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Show where a transaction was seen, from Kafka and files to Gold and DynamoDB."""
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.cli.lineage import lineage, served
    from lakehouse.session import open_session

    with step("reading every layer"):
        sightings = lineage(open_session(settings, "explain"), settings, transaction_id)
    try:
        sightings += served(settings, transaction_id)
    except ServiceError as fault:
        # the tables answer without it
        note(f"DynamoDB is left out: {fault}")
    if not sightings:
        raise TransactionNotFoundError(transaction_id, "any layer")
    if as_json:
        show_json([asdict(sighting) for sighting in sightings])
    else:
        show_lineage(transaction_id, sightings)


def show_lineage(transaction_id: str, sightings: list[Sighting]) -> None:
    """Print the sightings as a table."""
    rows = [[s.table, s.at, s.coordinates, s.tells] for s in sightings]
    show_grid(f"transaction {transaction_id}", ["table", "at (UTC)", "where", "what"], rows)
