"""From when a payment was due to when its item can be read, at a steady rate, open loop.

The time counts from when each event was due, not from when it was sent: a sender that cannot keep
up hides nothing.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from threading import Thread
from typing import TYPE_CHECKING

from confluent_kafka import Producer

from bench.place import LOCAL, ROOT, with_policies
from bench.timing import show
from lakehouse.config import Config
from lakehouse.kafka import client_options
from lakehouse.local.generator import GeneratorSettings, generate_topics
from lakehouse.local.generator.settings import uuid_from
from lakehouse.serving import client

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import KeysAndAttributesTypeDef

MOST_P50_SECONDS, MOST_P99_SECONDS = 5.0, 12.0

_USERS = 100_000  # who pay in turn by chance: each once in eight minutes
_SAMPLED = 50  # every fiftieth payment is looked for: asking costs the store, too
_POLL_SECONDS = 0.2
_AT_ONCE = 100  # keys of one BatchGetItem
_PATIENCE_SECONDS = 60


def freshness(config: Config, rate: int, seconds: int, warm_up: int) -> None:
    """Run `lakehouse up`, send for so many seconds after a warm-up, and watch the items come."""
    with_policies(config)
    with _up():
        sender = _Sender(config, rate, warm_up + seconds)
        sender.start()
        seen = _watch(config, sender)
        sender.join()
    from_then_on = sender.begun + warm_up
    due = {payment: at for payment, at in sender.sampled.items() if at >= from_then_on}
    counted = [seen[payment] - at for payment, at in due.items() if payment in seen]
    missing = len(due) - len(counted)
    cuts = statistics.quantiles(counted, n=100)
    show(
        f"freshness at {rate} payments/s for {seconds} s, of {len(counted)}; {missing} never came",
        ("percentile", "seconds from due to readable", "at most"),
        [
            ("p50", f"{cuts[49]:.1f}", str(MOST_P50_SECONDS)),
            ("p95", f"{cuts[94]:.1f}", ""),
            ("p99", f"{cuts[98]:.1f}", str(MOST_P99_SECONDS)),
            ("latest sent", f"{sender.latest:.2f}", ""),
        ],
    )


@contextmanager
def _up() -> Iterator[None]:
    command = [str(Path(sys.executable).parent / "lakehouse"), "up", "--config", str(LOCAL)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise RuntimeError("lakehouse up ended by itself")
        finally:
            process.terminate()
            process.wait(timeout=120)


class _Sender(Thread):
    """Sends each payment when it is due, whatever becomes of the ones before."""

    def __init__(self, config: Config, rate: int, seconds: int) -> None:
        super().__init__(daemon=True)
        self.sampled: dict[str, float] = {}  # transaction id -> when it was due, epoch seconds
        self.latest = 0.0  # how late the latest was sent
        self.begun = 0.0
        self.is_done = False
        self._topic = config.kafka.topics.transactions
        self._producer = Producer(client_options(config.kafka) | {"linger.ms": 5})
        self._count, self._rate = rate * seconds, rate
        tidy = GeneratorSettings.tidy(transactions=5_000, pending_share=0)
        self._payments = [json.loads(record.value) for record in generate_topics(tidy)[0]]

    def run(self) -> None:
        """Send them all."""
        rng = Random(1)
        self.begun = time.time()
        for number in range(self._count):
            due = self.begun + number / self._rate
            now = time.time()
            if due > now:
                time.sleep(due - now)
            else:
                self.latest = max(self.latest, now - due)
            payment = self._payments[number % len(self._payments)] | {
                "event_id": uuid_from(rng),
                "transaction_id": uuid_from(rng),
                "user_id": f"u-{rng.randrange(_USERS):06d}",
                "timestamp": datetime.fromtimestamp(due, UTC).isoformat(),
            }
            self._producer.produce(self._topic, json.dumps(payment), key=payment["transaction_id"])
            self._producer.poll(0)
            if number % _SAMPLED == 0:
                self.sampled[payment["transaction_id"]] = due
        self._producer.flush(30)
        self.is_done = True


def _watch(config: Config, sender: _Sender) -> dict[str, float]:
    """When each sampled payment could be read; those that never could are absent."""
    store, table = client(config.dynamodb, config.dynamodb.read_attempts), config.dynamodb.table
    seen: dict[str, float] = {}
    end: float | None = None
    while end is None or time.time() < end:
        if sender.is_done and end is None:
            end = time.time() + _PATIENCE_SECONDS
        waiting = [payment for payment in list(sender.sampled) if payment not in seen]
        if sender.is_done and not waiting:
            break
        for keys in _batches(waiting):
            wanted: KeysAndAttributesTypeDef = {
                "Keys": [{"transaction_id": {"S": key}} for key in keys],
                "ProjectionExpression": "transaction_id",
            }
            try:
                answer = store.batch_get_item(RequestItems={table: wanted})
            except store.exceptions.ResourceNotFoundException:
                break  # the job has not created it yet
            now = time.time()
            for item in answer["Responses"][table]:
                seen[item["transaction_id"]["S"]] = now
        time.sleep(_POLL_SECONDS)
    return seen


def _batches(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(keys), _AT_ONCE):
        yield keys[begin : begin + _AT_ONCE]
