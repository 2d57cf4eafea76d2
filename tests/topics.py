"""Topics of one test alone on the real broker, and what producers and operators do to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

from lakehouse.config import Config
from lakehouse.kafka import topic_now

_LARGEST = 25 * 1024 * 1024
_SECONDS = 30


@dataclass(frozen=True)
class TestTopic:
    """The topic that `ingest_transactions` reads in this test; it has one partition."""

    __test__ = False
    config: Config

    @property
    def name(self) -> str:
        """Its name."""
        return self.config.kafka.topics.transactions

    def send(self, *values: bytes | None, **fields: Any) -> None:
        """Produce records in order, outside any transaction."""
        producer = self._producer()
        for value in values:
            producer.produce(self.name, value, partition=0, **fields)
        assert producer.flush(_SECONDS) == 0

    def send_in_transaction(self, *values: bytes, commit: bool) -> None:
        """Produce records in a transaction, and commit or abort it."""
        producer = self._producer({"transactional.id": uuid4().hex})
        producer.init_transactions(_SECONDS)
        producer.begin_transaction()
        for value in values:
            producer.produce(self.name, value, partition=0)
        assert producer.flush(_SECONDS) == 0
        end = producer.commit_transaction if commit else producer.abort_transaction
        end(_SECONDS)

    def expire_before(self, offset: int) -> None:
        """Let retention pass: the partition begins at this offset from now on."""
        place = TopicPartition(self.name, 0, offset)
        admin = self._admin()  # its answers come while it lives
        _done(admin.delete_records([place]).values())
        assert topic_now(self.config.kafka, self.name).first == {0: offset}

    def create(self) -> None:
        """Create it; it takes records of 25 MB."""
        large = {"max.message.bytes": str(_LARGEST)}
        admin = self._admin()
        _done(admin.create_topics([NewTopic(self.name, 1, 1, config=large)]).values())

    def recreate(self) -> None:
        """Delete it, and create another of its name."""
        admin = self._admin()
        _done(admin.delete_topics([self.name], operation_timeout=_SECONDS).values())
        self.create()

    def _producer(self, settings: dict[str, Any] | None = None) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.config.kafka.bootstrap_servers,
                "message.max.bytes": _LARGEST,
                **(settings or {}),
            }
        )

    def _admin(self) -> AdminClient:
        return AdminClient({"bootstrap.servers": self.config.kafka.bootstrap_servers})


def _done(answers: Iterable[Any]) -> None:
    for answer in answers:
        answer.result(_SECONDS)
