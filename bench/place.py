"""Where a benchmark runs: the local configuration in a folder of its own, on free ports."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from lakehouse.config import ENV_PREFIX, Config
from lakehouse.job import execute, job_named
from lakehouse.local.generator import GeneratorSettings, generate, write_drops
from lakehouse.local.ports import free_ports
from lakehouse.local.services import running_services

ROOT = Path(__file__).resolve().parents[1]
LOCAL = ROOT / "conf" / "local.yaml"


@contextmanager
def own_place() -> Iterator[Config]:
    """Real services and an empty lake, which nothing else uses and which end with the block.

    Processes that the block starts read the same settings: they are in the environment.
    """
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        kafka, controller, dynamodb, scoring = free_ports(4)
        settings = _folders(folder) | {
            "SERVICES__KAFKA__PORT": kafka,
            "SERVICES__KAFKA__CONTROLLER_PORT": controller,
            "SERVICES__DYNAMODB__PORT": dynamodb,
            # on disk it syncs a file for each item, which DynamoDB does not let a writer wait for
            "SERVICES__DYNAMODB__IN_MEMORY": True,
            "SERVICES__SCORING__PORT": scoring,
            "KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{kafka}",
            "DYNAMODB__ENDPOINT_URL": f"http://127.0.0.1:{dynamodb}",
            "SCORING__URL": f"http://127.0.0.1:{scoring}/score",
        }
        config = _loaded(settings)
        with running_services(config):
            yield config


@contextmanager
def own_lake() -> Iterator[Config]:
    """An empty lake without services, which ends with the block."""
    with tempfile.TemporaryDirectory(prefix="lakehouse-bench-") as folder:
        yield _loaded(_folders(folder))


def _folders(folder: str) -> dict[str, object]:
    return {
        "LAKE__ROOT": f"{folder}/lake",
        "LAKE__LANDING": f"{folder}/landing",
        "LEASE__LOCATION": f"{folder}/leases",
        "CARDS__TOKEN_KEY": f"generated-file:{folder}/card.key",
        "HISTORY__SIGNING_KEY": f"generated-file:{folder}/history.key",
        "HISTORY__HEADS__LOCATION": f"{folder}/heads",
    }


def _loaded(settings: Mapping[str, object]) -> Config:
    os.environ.update({f"{ENV_PREFIX}{name}": str(value) for name, value in settings.items()})
    return Config.load(LOCAL)


def in_folder(config: Config, folder: Path) -> Config:
    """The same configuration with another lake."""
    lake = config.lake.model_copy(update={"root": str(folder / "lake")})
    lease = config.lease.model_copy(update={"location": str(folder / "leases")})
    return config.model_copy(update={"lake": lake, "lease": lease})


def with_policies(config: Config) -> None:
    """Let the generator's policies be in force in this lake: limits, blocks and velocity."""
    world = generate(GeneratorSettings(transactions=1))
    policies = [drop for drop in world.drops if drop.path.startswith("policies")]
    write_drops(policies, Path(config.lake.landing))
    for job in ("load_drops", "build_batch"):
        execute(job_named(job), config, trigger="once")


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
