"""`lakehouse lookup`: what the gateway reads, the live and the Gold group combined."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from lakehouse.cli.options import (
    DEFAULT_CONFIG,
    AsJson,
    ConfigPath,
    Since,
    SomeTransactionId,
    SomeUserId,
)
from lakehouse.cli.terminal import show_grid, show_json
from lakehouse.config import Config, DynamoDbSettings
from lakehouse.errors import TransactionNotFoundError, UserNotFoundError

_OF_EACH = (
    "timestamp", "amount", "currency", "country", "merchant_id", "transaction_status",
    "settlement_status", "recommended_action", "policy_flag", "fraud_score", "finality",
)  # fmt: skip


def lookup(
    transaction_id: SomeTransactionId = None,
    user: SomeUserId = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Payments of a user to show.")] = 20,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Look a transaction up in DynamoDB, or with --user the newest ones of a user."""
    if (transaction_id is None) == (user is None):
        raise typer.BadParameter("expected the id of a transaction, or --user ID")
    if transaction_id is not None and since is not None:
        raise typer.BadParameter("only goes with --user", param_hint="--since")
    settings = Config.load(config).dynamodb
    if transaction_id is not None:
        _show_one(settings, transaction_id, as_json)
    elif user is not None:
        _show_newest(settings, user, since, limit, as_json)


def _show_one(settings: DynamoDbSettings, transaction_id: str, as_json: bool) -> None:
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


def _show_newest(
    settings: DynamoDbSettings, user: str, since: datetime | None, limit: int, as_json: bool
) -> None:
    from lakehouse.serving import payments_of

    items = payments_of(settings, user, since, limit)
    if not items:
        raise UserNotFoundError(f"DynamoDB table {settings.table}")
    if as_json:
        show_json(items)
        return
    rows = [
        [item["transaction_id"], *(item["combined"].get(name) for name in _OF_EACH)]
        for item in items
    ]
    show_grid(f"{len(rows)} payments, the newest first", ["transaction_id", *_OF_EACH], rows)
