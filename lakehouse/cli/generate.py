"""`lakehouse generate`: a seeded week of payments into Kafka and landing/."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.terminal import progress_of, say, show_grid, step
from lakehouse.config import Config, problems_of
from lakehouse.errors import ConfigError

if TYPE_CHECKING:
    from lakehouse.local.generator import GeneratedWorld

Seed = Annotated[int | None, typer.Option(help="Same seed, same bytes; else the usual one.")]
Transactions = Annotated[int | None, typer.Option(help="Payments; else some thousand.")]


def generate(
    config: ConfigPath = DEFAULT_CONFIG,
    seed: Seed = None,
    start: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")
    ] = None,
    days: Annotated[int | None, typer.Option(help="Days of payments; else a week.")] = None,
    transactions: Transactions = None,
    rate: Annotated[
        float | None, typer.Option(help="Records per second; without it, all at once.")
    ] = None,
    to: Annotated[str, typer.Option(help="kafka | landing | both")] = "both",
    corrected: Annotated[
        bool, typer.Option("--corrected", help="Deliver the corrected drop instead.")
    ] = False,
) -> None:
    """Generate transactions, scores and daily drops, with the mess of real feeds."""
    if to not in ("kafka", "landing", "both"):
        raise typer.BadParameter(f"expected kafka, landing or both, got {to!r}", param_hint="--to")
    if rate is not None and not rate > 0:
        raise typer.BadParameter("expected records per second", param_hint="--rate")
    settings = Config.load(config)
    # the generator takes a third of a second to import
    from lakehouse.local.generator import corrected_drop, write_drops

    with step("generating"):
        world = generated(seed, transactions, start.date() if start else None, days)
    landing = Path(settings.lake.landing)
    if corrected:
        written = write_drops(corrected_drop(world).drops, landing)
        say(f"{len(written)} corrected files in landing/")
        return
    if to in ("landing", "both"):
        say(f"{len(write_drops(world.drops, landing))} new files in landing/")
    if to in ("kafka", "both"):
        say(f"{send(settings, world, rate)} records in Kafka")
    show_grid("planted mess", ["kind", "cases"], sorted(world.truth.counts.items()))


def generated(
    seed: int | None = None,
    transactions: int | None = None,
    start: date | None = None,
    days: int | None = None,
) -> GeneratedWorld:
    """The world that the command line asks for; what it does not say is as usual.

    Raises:
        ConfigError: a number is out of its range.
    """
    from lakehouse.local.generator import GeneratorSettings, generate

    asked: dict[str, Any] = {
        "seed": seed, "transactions": transactions, "start": start, "days": days,
    }  # fmt: skip
    given = {name: value for name, value in asked.items() if value is not None}
    try:
        settings = GeneratorSettings.model_validate(given)
    except ValidationError as error:
        raise ConfigError("generate", problems_of(error)) from None
    return generate(settings)


def send(config: Config, world: GeneratedWorld, rate: float | None = None) -> int:
    """Produce both topics; return the number of records delivered.

    Raises:
        BrokerUnreachableError: no broker answers.
    """
    from lakehouse.cli.topics import require_listener
    from lakehouse.local.generator.producer import produce

    require_listener(config.kafka)
    topics = config.kafka.topics
    names = {
        "payments.transactions": topics.transactions,
        "payments.fraud-scores": topics.fraud_scores,
    }
    with progress_of("sending records to Kafka") as on_progress:
        return produce(
            world,
            config.kafka.bootstrap_servers,
            rate,
            topics=names,
            on_progress=on_progress,
        )
