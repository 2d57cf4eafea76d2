"""Train the fraud model on a generated, labelled period: seconds, and the same model every time."""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from statistics import median

from lakehouse.config import Settings
from lakehouse.errors import LakehouseError, ServiceError
from lakehouse.local.generator import fraud as fraud_patterns
from lakehouse.local.generator import payments as generated_payments
from lakehouse.local.generator import settings as generated_settings
from lakehouse.local.generator import world as generated_world
from lakehouse.local.generator.payments import Payment, make_payments
from lakehouse.local.generator.settings import GeneratorSettings
from lakehouse.local.generator.world import make_world
from lakehouse.local.scoring import features as model_features
from lakehouse.local.scoring import model as model_code
from lakehouse.local.scoring.features import (
    FEATURES,
    Observation,
    Profiles,
    UserProfile,
    category_of,
    features,
    hour_of,
)
from lakehouse.local.scoring.model import FraudModel, version_of

DEFAULT_MODEL = Path(".cache") / "model" / "fraud-lr.json"
DECIMALS = 6


class TrainingSettings(Settings):
    """The labelled period to learn from: another seed than any demo, the same population."""

    seed: int = 20_260_101
    start: date = date(2026, 1, 1)
    days: int = 28
    transactions: int = 20_000
    users: int = 1_000
    merchants: int = 200
    # strength of the regularisation, scikit-learn's C
    inverse_penalty: float = 1.0


def ensure_model(path: Path | str | None = None) -> Path:
    """Return a model file that this code trained; train when it is missing or older than the code.

    The default is `.cache/model/fraud-lr.json` under the project root: the nearest folder with a
    `pyproject.toml`, from the working directory upwards.
    """
    target = Path(path) if path is not None else project_root() / DEFAULT_MODEL
    if not _is_current(target):
        train().save(target)
    return target


def project_root() -> Path:
    """Find the nearest folder with a `pyproject.toml`, else the working directory."""
    here = Path.cwd()
    return next((f for f in (here, *here.parents) if (f / "pyproject.toml").exists()), here)


def train(settings: TrainingSettings | None = None) -> FraudModel:
    """Learn profiles and coefficients; the version is a hash of settings and everything learned."""
    # two seconds that scoring never pays
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    settings = settings or TrainingSettings()
    payments = labelled_payments(settings)
    profiles = learn_profiles(payments)
    measured = [features(observed(payment), profiles) for payment in payments]
    labels = [payment.is_fraud for payment in payments]

    scaler = StandardScaler()
    regression = LogisticRegression(
        C=settings.inverse_penalty, class_weight="balanced", max_iter=1_000, tol=1e-8
    )
    make_pipeline(scaler, regression).fit(measured, labels)
    # the last digits differ between processors; a model that is the same has the same version
    learned = FraudModel(
        model_version="",
        trained_by=training_fingerprint(settings),
        features=FEATURES,
        means=_rounded(scaler.mean_),
        scales=_rounded(scaler.scale_),
        coefficients=_rounded(regression.coef_[0]),
        intercept=round(float(regression.intercept_[0]), DECIMALS),
        profiles=profiles,
    )
    content = settings.model_dump_json() + learned.model_dump_json(exclude={"trained_by"})
    return learned.model_copy(update={"model_version": version_of(content)})


def labelled_payments(settings: TrainingSettings) -> tuple[Payment, ...]:
    """Generate the payments to learn from, with their labels."""
    generator = GeneratorSettings(
        seed=settings.seed,
        start=settings.start,
        days=settings.days,
        transactions=settings.transactions,
        users=settings.users,
        merchants=settings.merchants,
    )
    return make_payments(generator, make_world(generator))


def observed(payment: Payment) -> Observation:
    """Give what a gateway sees of a payment: no label, no outcome."""
    return Observation(
        payment.transaction_id,
        payment.user_id,
        payment.timestamp_ms,
        float(payment.amount),
        payment.currency,
        payment.country,
        payment.merchant_id,
    )


def learn_profiles(payments: Sequence[Payment]) -> Profiles:
    """Learn what is usual per currency, merchant category and user: from payments alone."""
    by_currency: dict[str, list[float]] = defaultdict(list)
    countries: dict[str, Counter[str]] = defaultdict(Counter)
    for payment in payments:
        by_currency[payment.currency].append(math.log(payment.amount))
        countries[payment.currency][payment.country] += 1
    currency_usual = {code: _median(logs) for code, logs in sorted(by_currency.items())}

    def against_currency(payment: Payment) -> float:
        return math.log(payment.amount) - currency_usual[payment.currency]

    by_category: dict[str, list[Payment]] = defaultdict(list)
    by_user: dict[str, list[Payment]] = defaultdict(list)
    for payment in payments:
        by_category[category_of(payment.merchant_id)].append(payment)
        by_user[payment.user_id].append(payment)
    prices = {
        category: _median(against_currency(payment) for payment in paid)
        for category, paid in sorted(by_category.items())
    }
    return Profiles(
        users={
            user_id: UserProfile(
                log_amount=_median(
                    against_currency(payment) - prices[category_of(payment.merchant_id)]
                    for payment in paid
                ),
                country=_most_common(payment.country for payment in paid),
                hour=_usual_hour(paid),
            )
            for user_id, paid in sorted(by_user.items())
        },
        currency_log_amount=currency_usual,
        currency_countries={
            code: tuple(sorted(c for c, n in seen.items() if n >= 0.05 * seen.total()))
            for code, seen in sorted(countries.items())
        },
        category_risk={
            category: _risk(paid, payments) for category, paid in sorted(by_category.items())
        },
        category_log_price=prices,
        usual_log_amount=_median(currency_usual.values()),
        usual_risk=0.0,
    )


def training_fingerprint(settings: TrainingSettings | None = None) -> str:
    """Hash the settings and the code that a model comes from."""
    digest = hashlib.sha256((settings or TrainingSettings()).model_dump_json().encode())
    sources = (
        Path(__file__),
        *(
            Path(str(module.__file__))
            for module in (
                model_features,
                model_code,
                generated_settings,
                generated_world,
                fraud_patterns,
                generated_payments,
            )
        ),
    )
    for source in sources:
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _is_current(path: Path) -> bool:
    try:
        return FraudModel.load(path).trained_by == training_fingerprint()
    except ServiceError:
        return False


def _risk(paid: Sequence[Payment], everything: Sequence[Payment]) -> float:
    """Log of how much more often fraud meets a category than the average, smoothed and bounded."""
    overall = sum(payment.is_fraud for payment in everything) / len(everything)
    smoothed = (sum(payment.is_fraud for payment in paid) + 10 * overall) / (len(paid) + 10)
    # bounded: the shop alone must never decide
    return round(max(-1.0, min(1.0, math.log(smoothed / overall))), DECIMALS) if overall else 0.0


def _usual_hour(paid: Iterable[Payment]) -> float:
    """Mean hour on the 24-hour circle, UTC."""
    angles = [hour_of(payment.timestamp_ms) * math.tau / 24 for payment in paid]
    x, y = math.fsum(map(math.cos, angles)), math.fsum(map(math.sin, angles))
    return round(math.atan2(y, x) * 24 / math.tau % 24, 3)


def _median(values: Iterable[float]) -> float:
    return round(median(list(values)), DECIMALS)


def _most_common(values: Iterable[str]) -> str:
    counts = Counter(values)
    return min(counts, key=lambda value: (-counts[value], value))


def _rounded(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(round(float(value), DECIMALS) for value in values)


def main(arguments: Sequence[str] | None = None) -> int:
    """Train when needed, and say which model stands where."""
    parser = argparse.ArgumentParser(description="Train the fraud model when it is not current.")
    parser.add_argument("--model", type=Path, default=None, help="where the model file stands")
    options = parser.parse_args(arguments)
    try:
        path = ensure_model(options.model)
        version = FraudModel.load(path).model_version
    except LakehouseError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{version} at {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
