"""The page as one file, with plotly's script and all styles: it asks the network for nothing."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.resources import files
from typing import Any

import plotly.graph_objects as go
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from lakehouse.cli.page.cells import NOTHING, as_it_is, exact, percent
from lakehouse.cli.page.numbers import Answer, Numbers
from lakehouse.cli.page.sections import SECTIONS, Section

_HERE = "lakehouse.cli.page"


@dataclass(frozen=True)
class _Cell:
    text: str
    value: str  # as it was answered
    is_number: bool


@dataclass(frozen=True)
class _Part:
    """A section with its numbers, as the template shows it."""

    section: Section
    answer: Answer
    rows: list[list[_Cell]]
    figure: go.Figure | None

    @property
    def said(self) -> str | None:
        """What stands in the plot's place."""
        if self.figure is not None:
            return None
        if self.answer.missing:
            return self.answer.missing
        return (self.section.no_plot if self.answer.rows else None) or self.section.nothing


def page(numbers: Numbers) -> str:
    """HTML of UTF-8; scripts run by their hash alone, and nothing else may be loaded."""
    parts = [_part(section, numbers.answers[section.answer]) for section in SECTIONS]
    figures = {part.section.key: _plain(part.figure) for part in parts if part.figure is not None}
    scripts = [Markup(get_plotlyjs()), Markup(_file("page.js"))]
    environment = Environment(
        loader=PackageLoader(_HERE, ""), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(
        parts=parts,
        numbers=numbers,
        tiles=_tiles(numbers),
        instant=_instant,
        styles=Markup(_file("page.css")),
        figures=Markup(json.dumps(figures).replace("<", "\\u003c")),
        scripts=scripts if figures else [],
        policy=_policy(scripts if figures else []),
    )


def _part(section: Section, answer: Answer) -> _Part:
    def cell(name: str, value: Any, row: dict[str, Any]) -> _Cell:
        text = section.shown_as.get(name, as_it_is)(value, row)
        is_number = not isinstance(value, str | None) and not hasattr(value, "year")
        return _Cell(text, exact(value), is_number)

    named = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    rows = [[cell(name, value, row) for name, value in row.items()] for row in named]
    return _Part(section, answer, rows, section.draw(answer) if answer.rows else None)


def _tiles(numbers: Numbers) -> list[tuple[str, str, str]]:
    """The first figures that one looks for: a name, a value, and what it counts."""

    def total(answer: str, column: str) -> int:
        found = numbers.answers[answer]
        return sum(value or 0 for value in found.column(column)) if found.rows else 0

    def rate(part: int, whole: int) -> str:
        return percent(part / whole, {}) if whole else NOTHING

    def of(part: int, whole: int, what: str) -> str:
        return (
            f"{part:,} of {whole:,} {what}".replace(",", " ") if whole else f"no payment {what} yet"
        )

    labelled, fraudulent = (
        total("gold.fraud_by_day", "labelled"),
        total("gold.fraud_by_day", "fraudulent"),
    )
    day = "gold.rates_by_day"
    answered, declined = total(day, "answered"), total(day, "declined")
    settled, disputed = total(day, "settled"), total(day, "disputed")
    unexplained = [abs(n) for n in numbers.answers["gold.reconciled"].column("unexplained")] if (
        numbers.answers["gold.reconciled"].rows
    ) else None  # fmt: skip
    return [
        ("Transactions", as_it_is(total(day, "transactions"), {}), "payments in Gold"),
        ("Fraud rate", rate(fraudulent, labelled), of(fraudulent, labelled, "labelled")),
        ("Decline rate", rate(declined, answered), of(declined, answered, "answered")),
        ("Dispute rate", rate(disputed, settled), of(disputed, settled, "settled")),
        ("Unexplained", NOTHING if unexplained is None else as_it_is(sum(unexplained), {}),
         "nothing was counted yet" if unexplained is None else "records in all steps of the flow"),
    ]  # fmt: skip


def _plain(figure: go.Figure) -> dict[str, Any]:
    # plotly's own theme would be most of it
    content: dict[str, Any] = json.loads(figure.to_json())
    content["layout"].pop("template", None)
    return content


def _policy(scripts: list[Markup]) -> str:
    hashes = [
        b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii") for script in scripts
    ]
    allowed = " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _instant(moment: datetime | None) -> str:
    return "unknown" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _file(name: str) -> str:
    return (files(_HERE) / name).read_text("utf-8")
