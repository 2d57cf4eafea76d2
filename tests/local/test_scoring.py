"""The model separates and explains; the service keeps the inference API's contract."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from lakehouse.errors import ServiceError
from lakehouse.local.generator import GeneratorSettings, Payment, generate
from lakehouse.local.generator.fraud import CARD_TESTING, STOLEN_CARD, UNUSUAL_AMOUNT
from lakehouse.local.generator.payments import make_payments
from lakehouse.local.generator.world import make_world
from lakehouse.local.scoring.model import FraudModel
from lakehouse.local.scoring.train import ensure_model, observed, train


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ensure_model(tmp_path_factory.mktemp("model") / "fraud-lr.json")


@pytest.fixture(scope="module")
def model(model_path: Path) -> FraudModel:
    return FraudModel.load(model_path)


def payments_of(settings: GeneratorSettings) -> tuple[Payment, ...]:
    return make_payments(settings, make_world(settings))


def area_under_curve(labels: Sequence[bool], scores: Sequence[float]) -> float:
    """The chance that a fraud scores above an honest payment; ties count half."""
    frauds = [score for score, label in zip(scores, labels, strict=True) if label]
    honest = [score for score, label in zip(scores, labels, strict=True) if not label]
    wins = sum((f > h) + 0.5 * (f == h) for f in frauds for h in honest)
    return wins / (len(frauds) * len(honest))


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param(GeneratorSettings(), id="the demo's week"),
        pytest.param(GeneratorSettings(seed=99, transactions=4000), id="another seed"),
        pytest.param(GeneratorSettings(seed=3, population_seed=9), id="users never seen"),
    ],
)
def test_the_model_separates_payments_it_never_saw(
    model: FraudModel, settings: GeneratorSettings
) -> None:
    payments = payments_of(settings)
    scores = [scored.fraud_score for scored in model.score(map(observed, payments))]
    assert area_under_curve([payment.is_fraud for payment in payments], scores) > 0.85


def test_each_pattern_is_explained_by_what_it_is(model: FraudModel) -> None:
    expected = {CARD_TESTING: "velocity", STOLEN_CARD: "location", UNUSUAL_AMOUNT: "amount"}
    payments = payments_of(GeneratorSettings(seed=5, transactions=4000))
    scored = model.score(map(observed, payments))

    def mean(pattern: str, name: str) -> float:
        values = [
            answer.explanations[name]
            for payment, answer in zip(payments, scored, strict=True)
            if payment.pattern == pattern
        ]
        return sum(values) / len(values)

    for pattern, name in expected.items():
        assert mean(pattern, name) > mean("", name) + 2


def test_training_twice_gives_the_same_model(model: FraudModel) -> None:
    assert train() == model
    assert model.model_version.startswith("fraud-lr-")


def test_a_current_model_is_kept_and_an_old_one_replaced(model_path: Path, tmp_path: Path) -> None:
    before = model_path.stat().st_mtime_ns
    assert ensure_model(model_path) == model_path
    assert model_path.stat().st_mtime_ns == before

    old = tmp_path / "old.json"
    content = json.loads(model_path.read_text()) | {"trained_by": "older code"}
    old.write_text(json.dumps(content))
    assert FraudModel.load(ensure_model(old)) == FraudModel.load(model_path)


def test_a_model_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="no fraud model at"):
        FraudModel.load(tmp_path / "absent.json")
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(ServiceError, match="not a fraud model"):
        FraudModel.load(tmp_path / "broken.json")


def test_a_score_does_not_depend_on_its_batch(model: FraudModel) -> None:
    payments = [observed(p) for p in payments_of(GeneratorSettings(transactions=50))]
    assert model.score(payments) == [model.score([payment])[0] for payment in payments]


def test_serving_needs_no_training_library() -> None:
    check = "import lakehouse.local.scoring.serve, sys; sys.exit('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


@pytest.fixture(scope="module")
def service(model_path: Path) -> Iterator[httpx.Client]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "lakehouse.local.scoring.serve",
            *("--port", str(port), "--model", str(model_path)),
        ]
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            wait_until_healthy(client, process)
            yield client
    finally:
        process.terminate()
        process.wait(timeout=10)


def wait_until_healthy(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if client.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    pytest.fail("the scoring service did not start")


def a_payment(**facts: Any) -> dict[str, Any]:
    return {
        "event_id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
        "transaction_id": "16fd2706-8baf-433b-82eb-8c7fada847da",
        "user_id": "u-000001",
        "timestamp": "2026-03-04T10:00:00.000+01:00",
        "amount": "2500",
        "currency": "EUR",
        "country": "DE",
        "merchant_id": "DE-5411-00001",
        "payment_token": "tok_abc",
        "transaction_status": "AUTHORIZED",
        "sequence": 1,
    } | facts


def test_the_service_says_which_model_it_has(service: httpx.Client, model: FraudModel) -> None:
    expected = {"status": "ok", "model_version": model.model_version}
    assert service.get("/health").json() == expected


def test_the_service_scores_the_feed_as_it_comes(service: httpx.Client, model: FraudModel) -> None:
    world = generate(GeneratorSettings.tidy(transactions=300))
    events = [json.loads(record.value) for record in world.transactions]
    answer = service.post("/score", json={"transactions": events})
    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {"model_version", "scores"}
    assert body["model_version"] == model.model_version
    assert [s["transaction_id"] for s in body["scores"]] == [e["transaction_id"] for e in events]
    for score in body["scores"]:
        assert set(score) == {"transaction_id", "fraud_score", "explanations"}
        assert 0 <= score["fraud_score"] == round(score["fraud_score"], 6) <= 1
        assert set(score["explanations"]) == {"amount", "location", "merchant", "velocity"}


@pytest.mark.parametrize(
    "same",
    [
        {"amount": 2500},
        {"amount": "2500.00"},
        {"timestamp": 1772614800000},
        {"timestamp": "2026-03-04T09:00:00Z"},
        {"channel": "pos"},
        {"transaction_status": "PENDING", "sequence": None},
    ],
    ids=str,
)
def test_one_payment_written_in_many_ways_has_one_score(
    service: httpx.Client, same: dict[str, Any]
) -> None:
    answer = service.post("/score", json={"transactions": [a_payment(), a_payment(**same)]})
    one, other = answer.json()["scores"]
    assert one == other


def test_country_and_merchant_may_be_unknown(service: httpx.Client) -> None:
    stranger = a_payment(country=None, merchant_id=None, user_id=42, currency="CHF")
    assert service.post("/score", json={"transactions": [stranger]}).status_code == 200
    assert service.post("/score", json={"transactions": []}).json()["scores"] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": -1},
        {"amount": "12.50"},
        {"amount": 12.5},
        {"amount": True},
        {"amount": float("nan")},
        {"amount": None},
        {"currency": "eur"},
        {"timestamp": "yesterday"},
        {"timestamp": "2026-03-04T10:00:00"},
        {"timestamp": "0001-01-01T00:00:00+14:00"},
        {"timestamp": 10**30},
        {"transaction_id": ""},
        {"user_id": True},
        {"country": "Germany"},
    ],
    ids=str,
)
def test_a_payment_that_breaks_the_contract_is_refused(
    service: httpx.Client, wrong: dict[str, Any]
) -> None:
    body = json.dumps({"transactions": [a_payment(**wrong)]})
    headers = {"content-type": "application/json"}
    answer = service.post("/score", content=body, headers=headers)
    assert answer.status_code == 422
    assert next(iter(wrong)) in answer.text


@pytest.mark.parametrize("body", ["", "[]", "{}", "{", '{"transactions": 1}', '{"payments": []}'])
def test_a_request_of_another_form_is_refused(service: httpx.Client, body: str) -> None:
    headers = {"content-type": "application/json"}
    assert service.post("/score", content=body, headers=headers).status_code == 422
