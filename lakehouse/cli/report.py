"""`lakehouse report`: the analyst's page, one HTML file that needs no network."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from lakehouse.cli.brief import be_brief
from lakehouse.cli.options import DEFAULT_CONFIG, MOMENT_HELP, ConfigPath, some_moment
from lakehouse.cli.terminal import say, step
from lakehouse.config import Config

DEFAULT_OUT = Path("lakehouse-report.html")


def report(
    as_of: Annotated[
        str | None,
        typer.Option(
            parser=some_moment,
            metavar="TIME|VERSION",
            help=f"Gold as it stood at {MOMENT_HELP}",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the page is written.", dir_okay=False)
    ] = DEFAULT_OUT,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Write the analyst's page: payments, fraud, money, quarantine, parity, lag, and counts."""
    settings = Config.load(config)
    if not out.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {out.parent}", param_hint="--out")
    # Spark and plotly take seconds to import
    from lakehouse.cli.page.document import page
    from lakehouse.cli.page.numbers import numbers_of
    from lakehouse.session import open_session

    be_brief()
    with step("asking the views"):
        numbers = numbers_of(open_session(settings, "report"), settings, as_of, datetime.now(UTC))
    with step("drawing the page"):
        written = page(numbers)
        # whoever has the page open never sees half of it
        half = out.with_name(f".{out.name}.part")
        half.write_text(written, "utf-8")
        half.replace(out)
    version = (
        "there is no Gold"
        if numbers.standing is None
        else f"Gold version {numbers.standing.version}"
    )
    say(f"{out}: {version}, {len(written.encode('utf-8')) / 1e6:.1f} MB")
