"""The plots of the page: figures of plotly, each from one answer.

Colours and fonts are the page's: they follow the reader's light or dark. Texts are escaped, because
plotly reads some tags in them. A figure is None where its answer has nothing to draw.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from lakehouse.cli.page.cells import in_units
from lakehouse.cli.page.numbers import Answer

Draw = Callable[[Answer], go.Figure | None]
_DAY = {"type": "date", "tickformat": "%d %b", "hoverformat": "%Y-%m-%d"}
_FEW = 5
FATES = ("accepted", "duplicates", "quarantined", "held", "unexplained")
"""What becomes of what a step was delivered."""
FROM_NOTHING = "from nothing delivered"
"""What a step has that nothing was delivered for."""
# ticks of its own: those of the counts would be odd rates
_ON_THE_RIGHT = {"overlaying": "y", "side": "right", "showgrid": False, "tickmode": "auto"}
_PERCENT = {"ticksuffix": " %", "rangemode": "tozero", "title": {"text": "%"}}


def bars_and_rate(counts: str, rate: str, count_name: str, rate_name: str) -> Draw:
    """Per UTC day: a count as bars, a rate as a line on an axis of its own."""

    def draw(answer: Answer) -> go.Figure | None:
        rates = answer.column(rate)
        if not rates:
            return None
        days = answer.column("event_date")
        figure = go.Figure(go.Bar(x=days, y=answer.column(counts), name=count_name))
        if any(value is not None for value in rates):
            figure.add_scatter(
                x=days,
                y=_percents(rates),
                name=f"{rate_name} (%, right)",
                yaxis="y2",
                mode="lines+markers",
                hovertemplate="%{y:.2f} %",
            )
            figure.update_layout(yaxis2={**_PERCENT, **_ON_THE_RIGHT})
        figure.update_layout(xaxis=_DAY, yaxis={"title": {"text": count_name}})
        return figure

    return draw


def rates(columns: dict[str, str]) -> Draw:
    """Per UTC day: rates as lines, by column and name."""

    def draw(answer: Answer) -> go.Figure | None:
        days = answer.column("event_date") if answer.rows else []
        known = {
            name: _percents(answer.column(column))
            for column, name in columns.items()
            if answer.rows and any(value is not None for value in answer.column(column))
        }
        if not known:
            return None
        figure = go.Figure()
        for name, values in known.items():
            figure.add_scatter(
                x=days, y=values, name=name, mode="lines+markers", hovertemplate="%{y:.2f} %"
            )
        figure.update_layout(xaxis=_DAY, yaxis=_PERCENT)
        return figure

    return draw


def scores(answer: Answer) -> go.Figure | None:
    """Payments by tenth of the score, stacked by outcome, in % of the outcome's scored payments."""
    by_outcome: dict[str, dict[float, int]] = defaultdict(dict)
    for outcome, score_from, transactions in answer.rows:
        if score_from is not None:
            by_outcome[outcome][score_from] = transactions
    if not by_outcome:
        return None
    tenths = [tenth / 10 for tenth in range(10)]
    figure = go.Figure()
    for outcome, counts in by_outcome.items():
        total = sum(counts.values())
        shares = [100 * counts.get(tenth, 0) / total for tenth in tenths]
        figure.add_bar(x=[f"{tenth:.1f}–{tenth + 0.1:.1f}" for tenth in tenths], y=shares,
                       name=f"{outcome} ({total})", hovertemplate="%{y:.1f} %")  # fmt: skip
    figure.update_layout(
        barmode="group",
        xaxis={"type": "category", "title": {"text": "fraud score"}, "tickangle": -45},
        yaxis={**_PERCENT, "title": {"text": "% of the outcome"}},
    )
    return figure


def counts(name: str, values: dict[str, str], unit: str, stacked: bool = False) -> Draw:
    """A lying bar per row, the greatest on top: counts by column and name."""

    def draw(answer: Answer) -> go.Figure | None:
        if not answer.rows:
            return None
        labels = _labels(answer.column(name))
        columns = {said: answer.column(column) for column, said in values.items()}
        return _lying(labels, columns, unit, stacked)

    return draw


def money_in_base(answer: Answer) -> go.Figure | None:
    """What was paid in each currency, in whole units of the base currency."""
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    known = [row for row in rows if row["amount_base"] is not None]
    bases = {row["base_currency"] for row in known}
    # sums of two base currencies cannot stand side by side
    if len(bases) != 1:
        return None
    base = bases.pop()
    amounts = [float(in_units(row["amount_base"], base) or 0) for row in known]
    return _lying(_labels(row["currency"] for row in known), {"paid": amounts}, f"{base}", False)


def ageing(answer: Answer) -> go.Figure | None:
    """Unsettled payments by age, stacked by currency."""
    if not answer.rows:
        return None
    ages = ["0 to 1 days", "2 to 3 days", "4 to 7 days", "8 to 30 days", "over 30 days"]
    by_currency: dict[str, dict[str, int]] = defaultdict(dict)
    for currency, age, count in zip(
        answer.column("currency"), answer.column("age"), answer.column("transactions"), strict=True
    ):
        by_currency[currency][age] = count
    figure = go.Figure([
        go.Bar(x=ages, y=[found.get(age, 0) for age in ages], name=label)
        for label, found in zip(_labels(by_currency), by_currency.values(), strict=True)
    ])  # fmt: skip
    figure.update_layout(
        barmode="stack", xaxis={"type": "category"}, yaxis={"title": {"text": "payments"}}
    )
    return figure


def quarantine(answer: Answer) -> go.Figure | None:
    """Records by rule: what stands, and what a correction has resolved."""
    if not answer.rows:
        return None
    stands, records = answer.column("open"), answer.column("records")
    labels = [
        f"{rule} ({table.partition('.')[2]})"
        for rule, table in zip(answer.column("rule_id"), answer.column("source_table"), strict=True)
    ]
    resolved = [total - still for total, still in zip(records, stands, strict=True)]
    columns = {"open": stands, **({"resolved": resolved} if any(resolved) else {})}
    return _lying(_labels(labels), columns, "records", True)


def freshness(answer: Answer) -> go.Figure | None:
    """Hours since the newest event of each table that has one."""
    known = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    aged = [row for row in known if row["age_hours"] is not None]
    if not aged:
        return None
    hours = [row["age_hours"] for row in aged]
    figure = _lying(_labels(row["table"] for row in aged), {"age": hours}, "hours", False)
    return figure.update_traces(hovertemplate="%{x:.1f} h")


def lag(answer: Answer) -> go.Figure | None:
    """What waits for each stream: records of a topic, or versions of tables."""
    known = [row for row in answer.rows if row[2] is not None]
    if not any(row[2] for row in known):
        return None
    return _lying(_labels(row[0] for row in known), {"behind": [row[2] for row in known]},
                  "records or versions", False)  # fmt: skip


def reconciliation(answer: Answer) -> go.Figure | None:
    """What became of each step's records, in % of what was delivered."""
    return _fates(answer, "", _two_lines)


def reconciliation_of_money(answer: Answer) -> go.Figure | None:
    """What became of each step's money in one currency, in % of the amount that was delivered."""

    def label(row: dict[str, Any]) -> str:
        what = " ".join(each for each in (row["currency"], row["event_type"]) if each)
        return f"{_two_lines(row)}: {what}"

    return _fates(answer, "_amount", label)


def _two_lines(row: dict[str, Any]) -> str:
    return str(row["step"]).replace(" -> ", "\n→ ")


def _fates(answer: Answer, suffix: str, label: Callable[[dict[str, Any]], str]) -> go.Figure | None:
    rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
    steps = [row for row in rows if any(row[f"{fate}{suffix}"] for fate in ("delivered", *FATES))]
    if not steps:
        return None

    def share(row: dict[str, Any], fate: str) -> float:
        delivered = row[f"delivered{suffix}"]
        if not delivered:
            # of nothing there are no shares: all of it should not be there
            return 100.0 if fate == FROM_NOTHING else 0.0
        return float(100 * (row.get(f"{fate}{suffix}") or 0) / delivered)

    shares = {fate: [share(row, fate) for row in steps] for fate in (*FATES, FROM_NOTHING)}
    shares = {fate: values for fate, values in shares.items() if any(values)}
    labels = _labels(map(label, steps))
    figure = _lying(labels, shares, "% of delivered", True, ordered=False)
    return figure.update_traces(hovertemplate="%{x:.2f} %")


def _lying(
    labels: Sequence[str],
    columns: dict[str, list[Any]],
    unit: str,
    stacked: bool,
    ordered: bool = True,
) -> go.Figure:
    totals = [sum(values) for values in zip(*columns.values(), strict=True)]
    places = list(range(len(labels)))
    if ordered:
        places.sort(key=lambda place: (-totals[place], labels[place]))
    figure = go.Figure()
    for name, values in columns.items():
        figure.add_bar(
            y=[labels[place] for place in places],
            x=[values[place] for place in places],
            name=escape(name),
            orientation="h",
        )
    beside = 1 if stacked else len(columns)
    figure.update_layout(
        barmode="stack" if stacked else "group",
        height=110 + len(labels) * (16 + 18 * beside),
        xaxis={"title": {"text": escape(unit)}, "rangemode": "tozero", **_whole(totals)},
        yaxis={"type": "category", "autorange": "reversed"},
    )
    return figure


def _whole(totals: Sequence[Any]) -> dict[str, int]:
    # plotly would part a count of two into tenths
    are_few = all(isinstance(total, int) and total <= _FEW for total in totals)
    return {"dtick": 1} if are_few else {}


def _labels(values: Iterable[Any]) -> list[str]:
    said = ["none" if value is None else escape(str(value)) for value in values]
    return [text.replace("\n", "<br>") for text in said]


def _percents(rates: Sequence[float | None]) -> list[float | None]:
    return [None if rate is None else 100 * rate for rate in rates]
