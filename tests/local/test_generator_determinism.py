"""Equal settings give equal bytes; features do not reshuffle each other."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from lakehouse.errors import ConfigError
from lakehouse.local.generator import GeneratedWorld, GeneratorSettings, generate, generate_topics

SMALL = GeneratorSettings(transactions=300)

FINGERPRINT_IN_ANOTHER_PROCESS = """
from tests.local.test_generator_determinism import SMALL, fingerprint
from lakehouse.local.generator import generate
print(fingerprint(generate(SMALL)))
"""


def fingerprint(world: GeneratedWorld) -> str:
    digest = hashlib.sha256()
    for record in (*world.transactions, *world.scores):
        digest.update(repr(record).encode())
    for drop in world.drops:
        digest.update(drop.path.encode() + drop.content)
    digest.update(repr(world.truth).encode())
    return digest.hexdigest()


def test_same_seed_gives_same_bytes_in_processes_that_hash_differently() -> None:
    expected = fingerprint(generate(SMALL))
    for hash_seed in ("1", "2"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed, "TZ": "Asia/Tokyo"}
        finished = subprocess.run(
            [sys.executable, "-c", FINGERPRINT_IN_ANOTHER_PROCESS],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert finished.stdout.strip() == expected


def test_another_seed_gives_other_payments_of_the_same_people() -> None:
    one = generate(SMALL).truth.payments
    other = generate(GeneratorSettings(seed=8, transactions=300)).truth.payments
    assert {p.transaction_id for p in one}.isdisjoint(p.transaction_id for p in other)
    assert {p.user_id for p in one} & {p.user_id for p in other}


def test_the_feed_alone_is_the_feed_of_the_whole_world() -> None:
    world = generate(SMALL)
    assert generate_topics(SMALL) == (world.transactions, world.scores)


@pytest.mark.parametrize(
    "change",
    [
        {"duplicate_share": 0.0},
        {"malformed_drop_rows": 3},
        {"score_share": 1.0},
        {"offline_score_share": 0.0},
        {"foreign_money_share": 0.1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_one_feature_does_not_reshuffle_the_payments(change: dict[str, float]) -> None:
    changed = GeneratorSettings.model_validate({"transactions": 300} | change)
    assert generate(changed).truth.payments == generate(SMALL).truth.payments


def test_without_duplicates_the_other_records_stay_as_they_were() -> None:
    settings = GeneratorSettings(transactions=300, duplicate_share=0.0, conflict_share=0.0)
    without, _ = generate_topics(settings)
    copies = ("duplicate_event", "conflicting_event")
    assert without == [r for r in generate_topics(SMALL)[0] if r.fault not in copies]


def test_the_default_week_is_of_the_promised_size() -> None:
    world = generate()
    assert len(world.truth.payments) == 1000
    assert 1200 <= len(world.transactions) <= 1400


@pytest.mark.parametrize("transactions", [1, 2, 10, 50])
@pytest.mark.parametrize("days", [1, 2, 9])
def test_a_tiny_world_generates_too(transactions: int, days: int) -> None:
    world = generate(GeneratorSettings(transactions=transactions, days=days))
    assert len(world.truth.payments) == transactions


def test_unknown_settings_and_dates_without_rates_are_refused() -> None:
    with pytest.raises(ValidationError):
        GeneratorSettings.model_validate({"transaction": 5})
    with pytest.raises(ConfigError, match="rates are needed"):
        generate(GeneratorSettings.model_validate({"start": "2099-01-01", "transactions": 5}))
