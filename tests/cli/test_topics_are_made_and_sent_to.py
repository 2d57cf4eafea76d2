"""`lakehouse topics`: an account's two topics, made once, and sent to by hand."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.config import Config
from tests.conftest import override

PAYMENT = '{"transaction_id": "7d1f8d3e-0000-4000-8000-000000000001", "amount": "1999"}'


@pytest.fixture
def empty(served: Config, monkeypatch: pytest.MonkeyPatch) -> Config:
    """The real broker, and two names that it has no topic of."""
    scores = f"scores-{uuid4().hex[:8]}"
    override(monkeypatch, {"KAFKA__TOPICS__FRAUD_SCORES": scores})
    topics = served.kafka.topics.model_copy(update={"fraud_scores": scores})
    return served.model_copy(update={"kafka": served.kafka.model_copy(update={"topics": topics})})


def _run(*words: str, typed: str = "") -> str:
    ran = CliRunner().invoke(app, ["topics", *words], input=typed)
    if ran.exception and not isinstance(ran.exception, SystemExit):
        raise ran.exception
    return ran.output


def _partitions(config: Config, topic: str) -> int:
    # metadata alone: a partition that was made just now may have no leader yet
    admin = AdminClient({"bootstrap.servers": config.kafka.bootstrap_servers})
    return len(admin.list_topics(topic, timeout=30).topics[topic].partitions)


def _one(config: Config, topic: str) -> Message:
    reader = Consumer({
        "bootstrap.servers": config.kafka.bootstrap_servers, "group.id": uuid4().hex,
        "auto.offset.reset": "earliest",
    })  # fmt: skip
    reader.subscribe([topic])
    found = reader.poll(30)
    reader.close()
    assert found is not None and found.error() is None
    return found


def test_what_lacks_is_made_and_what_is_there_stays(empty: Config) -> None:
    topics = empty.kafka.topics
    assert _run("create", "--partitions", "3", "--replicas", "1").count("made, 3 partitions") == 2
    assert _partitions(empty, topics.transactions) == 3
    again = _run("create", "--partitions", "5", "--replicas", "1")
    assert again.count("was there, and stays as it is") == 2
    assert _partitions(empty, topics.fraud_scores) == 3


def test_a_line_becomes_a_record_under_its_transaction(empty: Config, tmp_path: Path) -> None:
    _run("create", "--partitions", "1", "--replicas", "1")
    assert "1 sent" in _run("send", "-", typed=f"\n{PAYMENT}\n")
    sent = _one(empty, empty.kafka.topics.transactions)
    assert (sent.key(), sent.value()) == (
        b"7d1f8d3e-0000-4000-8000-000000000001",
        PAYMENT.encode(),
    )
    file = tmp_path / "scores.jsonl"
    file.write_text(PAYMENT)
    assert "1 sent" in _run("send", str(file), "--scores")
    assert _one(empty, empty.kafka.topics.fraud_scores).value() == PAYMENT.encode()


@pytest.mark.parametrize("line", ["{", "[]", '{"transaction_id": 7}', '{"amount": "1"}'])
def test_a_line_that_can_have_no_key_is_named_and_nothing_is_sent(line: str) -> None:
    told = _run("send", "-", typed=f"{PAYMENT}\n{line}\n")
    assert "line 2" in told and "transaction_id" in told and "sent" not in told.split("line 2")[0]


def test_a_broker_that_makes_no_such_topic_says_why(empty: Config) -> None:
    with pytest.raises(Exception, match=r"did not make .*replication"):
        _run("create", "--replicas", "3")
