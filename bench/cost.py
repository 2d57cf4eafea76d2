"""`python -m bench.cost`: what a million transactions cost, by list prices and assumptions.

Pure arithmetic over `bench/prices.yaml`, no measurement: `docs/deploy.md` has the table that it
prints, and a test compares the two. All sums are USD for a month of 730 hours, without tax.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from bench.scale import MEASURED

PRICES = Path(__file__).with_name("prices.yaml")
CONFIG = Path(__file__).parents[1] / "conf" / "aws.yaml"
RATES = (100, 1_000, 10_000)  # transactions per second, day and night
HOURS = 730
_SECONDS = HOURS * 3600
_BROKERS = 3
_ZONES = 3  # one subnet in each, as docs/deploy.md takes them for given
FREE_ENDPOINTS = ("S3", "DynamoDB")  # gateways
ENDPOINTS = ("KMS", "Secrets Manager", "STS", "CloudWatch", "Logs", "SNS", "SSM", "its messages")
"""Interface endpoints, paid for by the hour in each zone."""
_OVERHEAD = 1.1  # memory beside Spark's own: a tenth, as EMR Serverless adds it, in whole GB


@dataclass(frozen=True)
class Fleet:
    """What runs for a rate: brokers, worker cores of streams all month, core hours of a day."""

    broker: str
    streaming_cores: int
    batch_core_hours_a_day: int


@dataclass(frozen=True)
class Assumptions:
    """Per transaction: messages, items, bytes; each is said in docs/deploy.md."""

    kafka_messages: float = 2.0  # the payment and its score
    message_bytes: int = 700
    replicas: int = 3
    topic_days: int = 7
    index_writes: float = 3.0  # decided, scored late or paid, Gold; units of 1,024 bytes
    index_inserts: float = 1.0  # of these, the ones that also write the index by user
    item_bytes: int = 544  # decision record 13, the median
    # ids and time of an item, with their names, in the index by user
    index_item_bytes: int = 95
    billed_bytes: int = 100  # beside its own, of each item and once more in the index by user
    index_days: int = 400
    index_reads: float = 1.0  # lookups, half a unit each
    # upper bounds of docs/scale.md and the messages as delivered; no copies that time travel keeps
    lake_bytes: int = round(sum(each.rows * each.bytes_per_row for each in MEASURED)) + 2 * 700
    lake_days: int = 365
    # two ingestions and the enrichment: commits, listings and data files of a micro-batch
    puts_a_batch: int = 24
    gets_a_batch: int = 120
    batch_seconds: float = 6.0
    puts_a_million: int = 6_000  # a day's tables, in files of some 16 MB and more
    disk_used: float = (
        0.7  # of a broker: retention lets go of whole segments, and a peak needs room
    )
    # counted from the code: subjects of each metric, 48 partitions among them
    metrics: int = 270
    broker_metrics: int = 250  # PER_TOPIC_PER_BROKER, three brokers
    flushes_a_second: float = 3 / 10  # three streams, metrics.flush_seconds
    # what `alerts check` asks in a round: 92 subjects, four figures each, if each is billed
    figures_a_round: int = 368
    lists_a_round: int = 10
    round_seconds: float = 60.0
    alarm_metrics: int = 9  # of deploy/watch.yaml
    log_bytes_a_batch: int = 200_000  # Spark's own lines of three drivers; an estimate
    log_months: float = 3.0


FLEETS: Mapping[int, Fleet] = {
    100: Fleet("kafka.m7g.large", streaming_cores=24, batch_core_hours_a_day=12),
    1_000: Fleet("kafka.m7g.large", streaming_cores=48, batch_core_hours_a_day=60),
    10_000: Fleet("kafka.m7g.2xlarge", streaming_cores=288, batch_core_hours_a_day=560),
}


def broker_gb(rate: int, given: Assumptions | None = None) -> int:
    """The disk of each of the three brokers, in GB, when so many transactions a second come.

    A broker holds as much as one copy of all topics: there are as many copies as brokers. Rounded
    up to 50 GB.
    """
    given = given or Assumptions()
    kept = rate * 86_400 * given.topic_days * given.kafka_messages * given.message_bytes
    copies = given.replicas / _BROKERS
    return ceil(kept * copies / given.disk_used / 50e9) * 50


def gb_of_a_core(kind: str) -> float:
    """GB for each core of an executor, streaming or batch, as `deploy.sizes` of the config asks."""
    size = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["deploy"]["sizes"][kind]
    return float(ceil(size["executor_gb"] * _OVERHEAD) / size["executor_cores"])


def prices() -> Any:
    """The data file of prices."""
    return yaml.safe_load(PRICES.read_text(encoding="utf-8"))


def monthly(rate: int, price: Any, given: Assumptions | None = None) -> dict[str, float]:
    """USD a month by part, when so many transactions a second come all the time.

    What is stored counts as it stands once retention is reached.
    """
    given, fleet = given or Assumptions(), FLEETS[rate]
    millions = rate * _SECONDS / 1e6
    a_day = rate * 86_400
    items = a_day * given.index_days
    items_gb = items * (given.item_bytes + given.billed_bytes) / 1e9
    by_user_gb = items * (given.index_item_bytes + given.billed_bytes) / 1e9
    lake_gb = a_day * given.lake_days * given.lake_bytes / 1e9
    core_hours = {
        "streaming": fleet.streaming_cores * HOURS,
        "batch": fleet.batch_core_hours_a_day * HOURS / 24,
    }
    batches = _SECONDS / given.batch_seconds
    units = given.index_writes + given.index_inserts
    return {
        "MSK": _BROKERS
        * (
            HOURS * price["msk_broker_hour"][fleet.broker]
            + broker_gb(rate, given) * price["msk_storage_gb_month"]
        ),
        "EMR Serverless": sum(
            hours * (price["emr_vcpu_hour"] + gb_of_a_core(kind) * price["emr_gb_hour"])
            for kind, hours in core_hours.items()
        ),
        "S3": lake_gb * price["s3_gb_month"]
        + (batches * given.puts_a_batch + millions * given.puts_a_million) / 1000
        * price["s3_put_1000"]
        + batches * given.gets_a_batch / 1000 * price["s3_get_1000"],
        "DynamoDB requests": millions * units * price["dynamodb_write_million"]
        + millions * given.index_reads * 0.5 * price["dynamodb_read_million"],
        # recovery to a point in time keeps the table, and makes its indexes anew
        "DynamoDB storage": (items_gb + by_user_gb) * price["dynamodb_gb_month"]
        + items_gb * price["dynamodb_pitr_gb_month"],
        # the machine that judges alerts; that of admin.yaml is stopped
        "network, keys, a machine": HOURS
        * (
            len(ENDPOINTS) * _ZONES * price["endpoint_hour"]
            + price["nat_gateway_hour"]
            + price["small_machine_hour"]
        )
        + batches * 10 / 10_000 * price["kms_10000"],
        "CloudWatch": _watching(given, batches, price),
    }  # fmt: skip


def _watching(given: Assumptions, batches: float, price: Any) -> float:
    """Figures, what is asked of them, alarms and logs: the same at every rate."""
    rounds = _SECONDS / given.round_seconds
    requests = _SECONDS * given.flushes_a_second
    requests += rounds * (given.figures_a_round + given.lists_a_round)
    logs_gb = batches * given.log_bytes_a_batch / 1e9
    return float(
        (given.metrics + given.broker_metrics) * price["cloudwatch_metric_month"]
        + requests / 1000 * price["cloudwatch_1000_requests"]
        + given.alarm_metrics * price["cloudwatch_alarm_month"]
        + price["cloudwatch_dashboard_month"]
        + logs_gb * (price["logs_gb"] + given.log_months * price["logs_gb_month"])
    )


def table() -> str:
    """The Markdown table of docs/deploy.md."""
    price = prices()
    sums = {rate: monthly(rate, price) for rate in RATES}
    millions = {rate: rate * _SECONDS / 1e6 for rate in RATES}
    head = "| USD per million transactions | " + " | ".join(f"{rate:,}/s" for rate in RATES) + " |"
    lines = [head, "|---|" + "---:|" * len(RATES)]
    for part in sums[RATES[0]]:
        cells = (f"{sums[rate][part] / millions[rate]:,.2f}" for rate in RATES)
        lines.append(f"| {part} | {' | '.join(cells)} |")
    totals = {rate: sum(parts.values()) for rate, parts in sums.items()}
    each = (f"**{totals[rate] / millions[rate]:,.2f}**" for rate in RATES)
    lines.append(f"| **all** | {' | '.join(each)} |")
    lines.append("| USD a month | " + " | ".join(f"{totals[rate]:,.0f}" for rate in RATES) + " |")
    cells = (f"{millions[rate]:,.0f}" for rate in RATES)
    lines.append(f"| million transactions a month | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
