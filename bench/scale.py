"""`python -m bench.scale`: how the large tables grow; docs/scale.md has what it prints.

Bytes per row are those of the largest Parquet files that the tests leave (11 to 2,000 rows):
footers weigh more there than in files of 500,000 rows, so they are upper bounds. Rates of rows are
assumptions.
"""

from __future__ import annotations

from typing import NamedTuple

RATE = 10_000  # transactions per second
DAYS = 3 * 365


class Growth(NamedTuple):
    """Rows per transaction, and bytes per row, as measured on a file of `largest` rows."""

    table: str
    rows: float
    bytes_per_row: int
    largest: int


MEASURED = (
    Growth("bronze.drops_transactions", 1.0, 108, 300),
    Growth("bronze.drops_fraud_scores", 1.0, 109, 184),
    Growth("bronze.drops_money_events", 1.2, 53, 2_000),
    Growth("silver.live_transactions", 1.1, 374, 123),
    Growth("silver.fraud_scores", 1.0, 284, 51),
    Growth("silver.batch_transactions", 1.0, 655, 35),
    Growth("silver.offline_scores", 1.0, 262, 61),
    Growth("silver.money_events", 1.2, 654, 8),
    Growth("gold.transactions", 1.0, 1_945, 11),
    Growth("gold.transaction_history", 3.0, 1_131, 20),
)


def table() -> str:
    """The Markdown table of docs/scale.md."""
    lines = [
        "| table | rows per transaction | bytes per row (of a file of so many) | rows a day "
        "| GB a day | TB in three years |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name, rows, size, largest in MEASURED:
        a_day = RATE * 86_400 * rows
        lines.append(
            f"| `{name}` | {rows:g} | {size:,} ({largest:,}) | {a_day / 1e6:,.0f} M |"
            f" {a_day * size / 1e9:,.0f} | {a_day * size * DAYS / 1e12:,.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
