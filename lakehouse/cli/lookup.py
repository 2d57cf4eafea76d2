"""`lakehouse lookup`: what the gateway reads, the live and the Gold group combined."""

from __future__ import annotations

from lakehouse.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, TransactionId
from lakehouse.cli.terminal import show_grid, show_json
from lakehouse.config import Config
from lakehouse.errors import TransactionNotFoundError


def lookup(
    transaction_id: TransactionId,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Look a transaction up in DynamoDB."""
    settings = Config.load(config).dynamodb
    # boto3 takes a third of a second that `--help` need not wait for
    from lakehouse.serving import lookup as find_item

    item = find_item(settings, transaction_id)
    if item is None:
        raise TransactionNotFoundError(transaction_id, f"DynamoDB table {settings.table}")
    if as_json:
        show_json(item)
        return
    groups = {name: item.get(name) or {} for name in ("combined", "live", "gold")}
    attributes = sorted({name for group in groups.values() for name in group})
    rows = [[name, *(group.get(name) for group in groups.values())] for name in attributes]
    show_grid(f"transaction {transaction_id}", ["attribute", *groups], rows)
