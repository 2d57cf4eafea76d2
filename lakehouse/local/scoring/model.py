"""The trained model as plain data: load it from JSON, score payments, explain each score."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from pydantic import ValidationError

from lakehouse.config import Settings
from lakehouse.errors import ServiceError
from lakehouse.local.scoring.features import (
    FEATURES,
    Observation,
    Profiles,
    explain,
    features,
)

VERSION_PREFIX = "fraud-lr-"


class Scored(NamedTuple):
    """The model's answer: probability 0..1 with six decimals, contributions in log-odds."""

    transaction_id: str
    fraud_score: float
    explanations: dict[str, float]


class FraudModel(Settings):
    """A logistic regression over standardised features; one entry per feature in each tuple.

    `trained_by` is the fingerprint of the training code and settings.
    """

    model_version: str
    trained_by: str
    features: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    profiles: Profiles

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a model file.

        Raises:
            ServiceError: there is no such file, or it is not a model of this code.
        """
        advice = "Train one with `python -m lakehouse.local.scoring.train`."
        try:
            model = cls.model_validate_json(Path(path).read_bytes())
        except FileNotFoundError:
            raise ServiceError(f"no fraud model at {path}. {advice}") from None
        except ValidationError:
            raise ServiceError(f"{path} is not a fraud model. {advice}") from None
        if model.features != FEATURES:
            raise ServiceError(f"the fraud model at {path} has other features. {advice}")
        return model

    def save(self, path: Path) -> None:
        """Write the model at once: a reader sees the old file or the new one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(self.model_dump_json(indent=1) + "\n", encoding="utf-8")
        partial.replace(path)

    def score(self, payments: Iterable[Observation]) -> list[Scored]:
        """Score each payment by itself: the answer does not depend on its batch."""
        return [self._score(payment) for payment in payments]

    def _score(self, payment: Observation) -> Scored:
        measured = features(payment, self.profiles)
        contributions = {
            name: coefficient * (value - mean) / scale
            for name, value, mean, scale, coefficient in zip(
                self.features, measured, self.means, self.scales, self.coefficients, strict=True
            )
        }
        odds = self.intercept + math.fsum(contributions.values())
        # both forms are the same function; each is safe from overflow on its side
        probability = 1 / (1 + math.exp(-odds)) if odds >= 0 else 1 - 1 / (1 + math.exp(odds))
        return Scored(payment.transaction_id, round(probability, 6), explain(contributions))


def version_of(content: str) -> str:
    """Name a model by what it is: equal content, equal version."""
    return VERSION_PREFIX + hashlib.sha256(content.encode()).hexdigest()[:10]
