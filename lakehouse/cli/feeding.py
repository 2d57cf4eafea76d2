"""`lakehouse topics create|send`: the two topics, where no generator makes and fills them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import typer

from lakehouse.cli.options import DEFAULT_CONFIG, ConfigPath
from lakehouse.cli.terminal import say
from lakehouse.config import Config, KafkaSettings
from lakehouse.errors import BrokerUnreachableError, ServiceError

app = typer.Typer(help="The two topics: make them, send to them by hand.", no_args_is_help=True)

_SECONDS = 30.0


@app.command()
def create(
    partitions: Annotated[int, typer.Option(min=1, help="Of each topic.")] = 24,
    replicas: Annotated[int, typer.Option(min=1, help="Copies of each record.")] = 3,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Make the topics that the config names; one that is there stays as it is."""
    # a client of Kafka takes a moment to import, and only few commands are one
    from confluent_kafka import KafkaError, KafkaException
    from confluent_kafka.admin import AdminClient, NewTopic

    from lakehouse.cli.topics import require_listener
    from lakehouse.kafka import client_options

    kafka = Config.load(config).kafka
    require_listener(kafka)
    names = (kafka.topics.transactions, kafka.topics.fraud_scores)
    admin = AdminClient(client_options(kafka))
    asked = admin.create_topics([NewTopic(name, partitions, replicas) for name in names])
    for name, answer in asked.items():
        try:
            answer.result(_SECONDS)
        except TimeoutError:
            raise BrokerUnreachableError(kafka.bootstrap_servers) from None
        except KafkaException as fault:
            if fault.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise _refused(kafka, f"did not make {name}: {fault.args[0].str()}") from None
            say(f"{name}: was there, and stays as it is")
        else:
            say(f"{name}: made, {partitions} partitions, {replicas} copies")


@app.command()
def send(
    lines: Annotated[
        typer.FileText, typer.Argument(metavar="FILE", help="Records, a JSON object a line.")
    ],
    scores: Annotated[bool, typer.Option("--scores", help="Scores, not payments.")] = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Send the lines of a file (`-`: of standard input), each under its transaction_id.

    Nothing else of a line is looked at: what is wrong with it is what Silver says.
    """
    # as above
    from confluent_kafka import KafkaError, Message, Producer

    from lakehouse.cli.topics import require_listener
    from lakehouse.kafka import client_options

    kafka = Config.load(config).kafka
    topic = kafka.topics.fraud_scores if scores else kafka.topics.transactions
    records = list(keyed(lines))
    require_listener(kafka)
    failures: list[str] = []

    def note(fault: KafkaError | None, _: Message) -> None:
        if fault is not None:
            failures.append(fault.str())

    options: dict[str, Any] = {
        **client_options(kafka),
        "enable.idempotence": True,
        # the same partition for a key as Kafka's Java clients choose
        "partitioner": "murmur2_random",
        "message.timeout.ms": int(_SECONDS * 1000),
    }
    producer = Producer(options)
    for key, value in records:
        producer.produce(topic, key=key, value=value, on_delivery=note)
        producer.poll(0)
    left = producer.flush(_SECONDS + 5)
    if failures or left:
        reason = failures[0] if failures else "no answer in time"
        raise _refused(kafka, f"did not take {len(failures) + left} of {len(records)}: {reason}")
    say(f"{topic}: {len(records)} sent")


def keyed(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Each line that is not blank, under the key that the contract asks for."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or not isinstance(record.get("transaction_id"), str):
            wanted = "a JSON object with a text under transaction_id"
            raise typer.BadParameter(f"line {number}: expected {wanted}", param_hint="FILE")
        yield record["transaction_id"], line.strip()


def _refused(kafka: KafkaSettings, what: str) -> ServiceError:
    return ServiceError(f"Kafka at {kafka.bootstrap_servers} {what}")
