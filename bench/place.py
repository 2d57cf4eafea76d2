"""Where a benchmark runs: the local configuration in a folder of its own, on free ports."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lakehouse.config import Config
from lakehouse.local.ports import free_ports
from lakehouse.local.services import running_services

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def own_place() -> Iterator[Config]:
    """Real services and an empty lake, which nothing else uses and which end with the block."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        config = _on_free_ports(in_folder(Config.load(ROOT / "conf" / "local.yaml"), Path(folder)))
        with running_services(config):
            yield config


def in_folder(config: Config, folder: Path) -> Config:
    """The same configuration with another lake."""
    lake = config.lake.model_copy(
        update={"root": str(folder / "lake"), "landing": str(folder / "landing")}
    )
    lease = config.lease.model_copy(update={"location": str(folder / "leases")})
    cards = config.cards.model_copy(update={"token_key": f"generated-file:{folder / 'card.key'}"})
    return config.model_copy(update={"lake": lake, "lease": lease, "cards": cards})


def own_topics(config: Config, name: str) -> Config:
    """The same configuration with other topics."""
    topics = config.kafka.topics
    renamed = topics.model_copy(
        update={
            "transactions": f"{topics.transactions}.{name}",
            "fraud_scores": f"{topics.fraud_scores}.{name}",
        }
    )
    kafka = config.kafka.model_copy(update={"topics": renamed})
    return config.model_copy(update={"kafka": kafka})


def _on_free_ports(config: Config) -> Config:
    assert config.services is not None  # of conf/local.yaml
    kafka, controller, dynamodb, scoring = free_ports(4)
    services = config.services.model_copy(
        update={
            "kafka": config.services.kafka.model_copy(
                update={"port": kafka, "controller_port": controller}
            ),
            "dynamodb": config.services.dynamodb.model_copy(update={"port": dynamodb}),
            "scoring": config.services.scoring.model_copy(update={"port": scoring}),
        }
    )
    return config.model_copy(
        update={
            "services": services,
            "kafka": config.kafka.model_copy(update={"bootstrap_servers": f"127.0.0.1:{kafka}"}),
            "dynamodb": config.dynamodb.model_copy(
                update={"endpoint_url": f"http://127.0.0.1:{dynamodb}"}
            ),
            "scoring": config.scoring.model_copy(
                update={"url": f"http://127.0.0.1:{scoring}/score"}
            ),
        }
    )
