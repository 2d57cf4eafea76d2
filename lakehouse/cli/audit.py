"""`lakehouse audit`: what was known as of a time, what changed and why, decisions decided again.

The answers are those of the job `audit`, which is found by its entry point: no layer is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import Signature, signature
from pathlib import Path
from typing import Annotated, Any

import typer

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import (
    DEFAULT_CONFIG,
    MOMENT_HELP,
    AsJson,
    ConfigPath,
    TransactionId,
    some_uuid,
)
from lakehouse.cli.options import SomeUserId as User
from lakehouse.cli.terminal import step
from lakehouse.config import Config

app = typer.Typer(no_args_is_help=True)

_MOMENT = f"As of {MOMENT_HELP}"
Moment = Annotated[str, typer.Argument(metavar="TIME|VERSION", help=_MOMENT)]
Transactions = Annotated[
    list[str] | None,
    typer.Option("--transaction", parser=some_uuid, metavar="UUID",
                 help="Only this payment; may be repeated."),
]  # fmt: skip
Ids = Annotated[
    Path | None,
    typer.Option("--ids", help="A file of payments to ask about, one UUID on a line.", exists=True,
                 dir_okay=False, readable=True),
]  # fmt: skip
Where = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="Only rows with this value, as in country=DE or "
                 "settlement_status= (none); may be repeated, one name twice is either value."),
]  # fmt: skip
Limit = Annotated[int, typer.Option(min=0, help="Transactions to show.")]


@app.callback()
def audit() -> None:
    """What was known and decided then, and why; exit code 1 where a decision does not follow.

    3: nothing differs, but what was known at a decision is beyond time travel.
    """


def _about_some(question: Callable[..., Mapping[str, str]]) -> Callable[..., None]:
    """A command that asks a question about some transactions: behind its arguments, the options.

    The question's arguments are texts; it gives what the job `audit` is asked by them.
    """

    def command(
        transaction: Transactions = None,
        ids: Ids = None,
        user: User = None,
        where: Where = None,
        limit: Limit = 100,
        config: ConfigPath = DEFAULT_CONFIG,
        as_json: AsJson = False,
        **moments: str,
    ) -> None:
        _ask(config, as_json, **question(**moments), transaction_id=_ids(transaction, ids),
             user=user, where=where, limit=limit)  # fmt: skip

    # evaluated: typer reads this signature as it is
    own, options = (signature(each, eval_str=True).parameters for each in (question, command))
    named = [each for each in options.values() if each.kind is not each.VAR_KEYWORD]
    command.__signature__ = Signature([*own.values(), *named])  # type: ignore[attr-defined]
    command.__annotations__ |= question.__annotations__
    command.__doc__ = question.__doc__
    return command


@app.command("as-of")
@_about_some
def as_of(moment: Moment) -> Mapping[str, str]:
    """Show Gold as it stood: by time travel, and beyond its horizon from history."""
    return {"as_of": moment}


@app.command("diff")
@_about_some
def diff(
    before: Annotated[str, typer.Argument(metavar="FROM", help=_MOMENT)],
    after: Annotated[str, typer.Argument(metavar="TO", help=_MOMENT)],
) -> Mapping[str, str]:
    """Show what changed, field by field, and which contributions caused it."""
    return {"diff_from": before, "diff_to": after}


@app.command()
def decision(
    transaction_id: TransactionId,
    as_of: Annotated[
        str | None,
        typer.Option(metavar="TIME|VERSION", help=f"Only what had been decided by {MOMENT_HELP}"),
    ] = None,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Decide a payment again: from the recorded evidence, and from what was known then."""
    _ask(config, as_json, decision=transaction_id, as_of=as_of)


@app.command()
def decisions(
    transaction: Transactions = None,
    ids: Ids = None,
    limit: Limit = 100,
    config: ConfigPath = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Conclude all decisions again, or those of some payments, from their recorded evidence."""
    _ask(config, as_json, transaction_id=_ids(transaction, ids), limit=limit)


def _ids(transactions: list[str] | None, file: Path | None) -> list[str] | None:
    if file is None:
        return transactions or None
    lines = (line.strip() for line in file.read_text().splitlines())
    return [*(transactions or ()), *(some_uuid(line) for line in lines if line)]


def _ask(config: Path, as_json: bool, **question: Any) -> None:
    settings = Config.load(config)
    # Spark takes a second to import
    from lakehouse.job import execute, job_named

    be_brief()
    with step("reading the tables as they stood"):
        execute(job_named("audit"), settings, trigger="once", as_json=as_json, **question)
