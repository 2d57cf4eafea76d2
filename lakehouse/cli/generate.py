"""`lakehouse generate`: a seeded week of payments into Kafka and landing/."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.terminal import progress_of, show_grid
from lakehouse.config import Config, problems_of
from lakehouse.errors import ConfigError
from lakehouse.local.generator import (
    GeneratedWorld,
    GeneratorSettings,
    corrected_drop,
    write_drops,
)
from lakehouse.local.generator import generate as generated
from lakehouse.local.generator.producer import produce

_USUAL = GeneratorSettings()
_USUAL_START = datetime.combine(_USUAL.start, datetime.min.time())


def generate(
    config: ConfigPath = DEFAULT_CONFIG,
    seed: Annotated[int, typer.Option(help="Same seed, same bytes.")] = _USUAL.seed,
    start: Annotated[
        datetime, typer.Option(formats=["%Y-%m-%d"], help="First day (UTC).")
    ] = _USUAL_START,
    days: Annotated[int, typer.Option(help="Days of payments.")] = _USUAL.days,
    transactions: Annotated[int, typer.Option(help="Payments.")] = _USUAL.transactions,
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
        raise ConfigError("--to", [f"expected kafka, landing or both, got {to!r}"])
    settings = Config.load(config)
    world = generated(generator_settings(seed, start.date(), days, transactions))
    landing = Path(settings.lake.landing)
    if corrected:
        written = write_drops(corrected_drop(world).drops, landing)
        print(f"{len(written)} corrected files in landing/")
        return
    if to in ("landing", "both"):
        print(f"{len(write_drops(world.drops, landing))} new files in landing/")
    if to in ("kafka", "both"):
        send(settings, world, rate)
    show_grid("planted mess", ["kind", "cases"], sorted(world.truth.counts.items()))


def generator_settings(seed: int, start: date, days: int, transactions: int) -> GeneratorSettings:
    """Check what the command line says.

    Raises:
        ConfigError: a number is out of its range.
    """
    try:
        return GeneratorSettings(seed=seed, start=start, days=days, transactions=transactions)
    except ValidationError as error:
        raise ConfigError("generate", problems_of(error)) from None


def send(config: Config, world: GeneratedWorld, rate: float | None = None) -> int:
    """Produce both topics; return the number of records delivered.

    Raises:
        BrokerUnreachableError: no broker answers.
    """
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
