"""How each of the three services is started, and how it shows that it answers."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from lakehouse.config import Config, Services
from lakehouse.errors import ServiceError
from lakehouse.local.jars import ROOT, files_for
from lakehouse.local.java import recall
from lakehouse.local.services_process import Service

_HOST = "127.0.0.1"
_SECONDS = 1.0
# quick to start, small at rest: these JVMs serve one person
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.awt.headless=true")
_SQLITE = "com.almworks.sqlite4java"

_BROKER = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
num.partitions={partitions}
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
# generated payments carry times of other weeks: neither too old to keep nor too new to take
log.retention.ms=-1
log.message.timestamp.after.max.ms=9223372036854775807
log.cleaner.dedupe.buffer.size=4194304
"""


def services_of(config: Config, settings: Services, folder: Path) -> list[Service]:
    """Describe the services of this configuration, the slowest to start first."""
    make = (_kafka, _dynamodb, _scoring)
    return [describe(config, settings, folder) for describe in make]


def _kafka(config: Config, settings: Services, folder: Path) -> Service:
    kafka, home = settings.kafka, folder / "kafka"
    properties, data = home / "server.properties", home / "data"
    topics = (config.kafka.topics.transactions, config.kafka.topics.fraud_scores)

    def jvm(main: str, *arguments: str) -> tuple[str, ...]:
        return (
            *_java(kafka.heap_mb, home),
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            *("-cp", _class_path("kafka"), main, *arguments),
        )

    def prepare() -> None:
        properties.write_text(
            _BROKER.format(
                host=_HOST,
                port=kafka.port,
                controller_port=kafka.controller_port,
                partitions=kafka.partitions,
                data=data,
            ),
            encoding="utf-8",
        )
        if (data / "meta.properties").is_file():
            return
        identity = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # in one word: an identity may begin with a dash
        arguments = ("format", "--ignore-formatted", f"--cluster-id={identity}")
        formatted = subprocess.run(
            jvm("kafka.tools.StorageTool", *arguments, "-c", str(properties)),
            capture_output=True,
            text=True,
            check=False,
        )
        if formatted.returncode != 0:
            said = (formatted.stderr or formatted.stdout).strip()
            raise ServiceError(f"kafka: its storage at {data} can't be formatted: {said}")

    return Service(
        name="kafka",
        ports=(kafka.port, kafka.controller_port),
        address=("kafka.bootstrap_servers", config.kafka.bootstrap_servers),
        command=lambda: jvm("kafka.Kafka", str(properties)),
        environment=_environment(),
        marker=str(properties),
        folder=home,
        working_folder=home,
        prepare=prepare,
        answers=lambda: _kafka_answers(kafka.port, topics, kafka.partitions),
        patience_seconds=10,
    )


def _dynamodb(config: Config, settings: Services, folder: Path) -> Service:
    dynamodb, home = settings.dynamodb, folder / "dynamodb"
    main = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"

    def command() -> tuple[str, ...]:
        natives = next(file.parent for file in files_for("dynamodb") if file.parent.name == _SQLITE)
        return (
            *_java(dynamodb.heap_mb, home),
            f"-Djava.library.path={natives}",
            *("-cp", _class_path("dynamodb"), main),
            *("-sharedDb", "-port", str(dynamodb.port)),
            *(("-inMemory",) if dynamodb.in_memory else ("-dbPath", str(home / "data"))),
            "-disableTelemetry",
        )

    return Service(
        name="dynamodb",
        ports=(dynamodb.port,),
        # without an address of its own a client asks the cloud's service
        address=("dynamodb.endpoint_url", config.dynamodb.endpoint_url or "the region's service"),
        command=command,
        environment=_environment() | {"DDB_LOCAL_TELEMETRY": "0"},
        marker=str(home),
        folder=home,
        working_folder=home,
        prepare=lambda: (home / "data").mkdir(exist_ok=True),
        answers=lambda: _dynamodb_answers(dynamodb.port, config.dynamodb.region),
        patience_seconds=3,
    )


def _scoring(config: Config, settings: Services, folder: Path) -> Service:
    port = str(settings.scoring.port)
    return Service(
        name="scoring",
        ports=(settings.scoring.port,),
        # no address: nobody asks it, and scores come by topic and by drop
        address=("scoring.url", config.scoring.url) if config.scoring.url else None,
        command=lambda: (sys.executable, "-m", "lakehouse.local.scoring.serve", "--port", port),
        environment=_environment(),
        marker=f"lakehouse.local.scoring.serve --port {port}",
        folder=folder / "scoring",
        working_folder=ROOT,
        prepare=lambda: None,
        answers=lambda: _scoring_answers(settings.scoring.port),
        patience_seconds=3,
    )


def _java(heap_mb: int, home: Path) -> tuple[str, ...]:
    crash_file = f"-XX:ErrorFile={home}/crash-%p.log"
    return (str(recall().executable), f"-Xmx{heap_mb}m", *_JVM, crash_file)


def _class_path(use: str) -> str:
    return ":".join(str(file) for file in files_for(use) if file.suffix == ".jar")


def _environment() -> dict[str, str]:
    """Pass the environment on, without the overrides of this project and of other Javas."""
    dropped = ("LAKEHOUSE__", "JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")
    return {key: value for key, value in os.environ.items() if not key.startswith(dropped)}


def _kafka_answers(port: int, topics: tuple[str, ...], partitions: int) -> bool:
    """Ask for metadata, create what is missing, and wait until each partition has a leader."""
    settings: dict[str, Any] = {
        "bootstrap.servers": f"{_HOST}:{port}",
        # a broker that is still starting is no news
        "log_level": 0,
        "error_cb": lambda _: None,
    }
    admin = AdminClient(settings)
    try:
        known = admin.list_topics(timeout=_SECONDS).topics
        absent = [topic for topic in topics if topic not in known]
        if absent:
            asked = [NewTopic(topic, partitions, replication_factor=1) for topic in absent]
            for created in admin.create_topics(asked, operation_timeout=_SECONDS).values():
                created.result(timeout=5)
            known = admin.list_topics(timeout=_SECONDS).topics
    except (KafkaException, TimeoutError):
        return False
    if not all(topic in known for topic in topics):
        # what was just created is not in every answer yet: asked again in a moment
        return False
    parts = [part for topic in topics for part in known[topic].partitions.values()]
    return bool(parts) and all(part.leader >= 0 for part in parts)


def _dynamodb_answers(port: int, region: str) -> bool:
    """List the tables; the local server wants a signature, and believes any."""
    signature = (
        f"AWS4-HMAC-SHA256 Credential=local/20260101/{region}/dynamodb/aws4_request, "
        "SignedHeaders=host, Signature=0"
    )
    request = urllib.request.Request(
        f"http://{_HOST}:{port}/",
        data=b"{}",
        headers={
            "X-Amz-Target": "DynamoDB_20120810.ListTables",
            "Content-Type": "application/x-amz-json-1.0",
            "Authorization": signature,
        },
    )
    return "TableNames" in _reply(request)


def _scoring_answers(port: int) -> bool:
    return bool(_reply(urllib.request.Request(f"http://{_HOST}:{port}/health")))


def _reply(request: urllib.request.Request) -> dict[str, object]:
    """Return the JSON object of a 200 reply, else an empty one; no proxy is asked."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=_SECONDS) as reply:
            content = json.load(reply)
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
