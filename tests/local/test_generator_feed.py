"""The feed keeps the contract where it is clean, and breaks it where the truth says so."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from lakehouse.local.generator import FeedRecord, GeneratedWorld, GeneratorSettings, generate
from lakehouse.local.generator import mess as kinds
from lakehouse.local.generator.fraud import CARD_TESTING, PATTERNS, STOLEN_CARD

REQUIRED = {
    "event_id",
    "transaction_id",
    "user_id",
    "timestamp",
    "amount",
    "currency",
    "country",
    "merchant_id",
    "payment_token",
    "transaction_status",
}
CURRENCIES = {"EUR", "USD", "GBP", "JPY", "KWD", "BRL", "INR", "AUD", "ZAR", "RUB"}


@pytest.fixture(scope="module")
def world() -> GeneratedWorld:
    return generate(GeneratorSettings(transactions=2000))


def instant_ms(value: Any) -> int:
    if isinstance(value, int):
        return value
    moment = datetime.fromisoformat(value)
    assert moment.tzinfo is not None
    return round(moment.timestamp() * 1000)


def is_clean(record: FeedRecord) -> bool:
    return record.fault not in kinds.REFUSED


def violations(value: bytes) -> list[str]:
    """Name what a payload breaks of the contract of payments.transactions."""
    try:
        event = json.loads(value)
    except ValueError:
        return ["json"]
    wrong = [name for name in REQUIRED if event.get(name) in (None, "")]
    if wrong:
        return wrong
    if not isinstance(event["user_id"], (str, int)):
        wrong.append("user_id")
    amount = event["amount"]
    is_number = isinstance(amount, (int, str)) and not isinstance(amount, bool)
    if not is_number or not re.fullmatch(r"\d+(\.0+)?", str(amount)):
        wrong.append("amount")
    if event["currency"] not in CURRENCIES:
        wrong.append("currency")
    if event["transaction_status"] not in {"AUTHORIZED", "DECLINED", "PENDING"}:
        wrong.append("transaction_status")
    try:
        instant_ms(event["timestamp"])
    except (ValueError, AssertionError):
        wrong.append("timestamp")
    return wrong


def test_a_record_breaks_the_contract_exactly_where_it_was_spoiled(world: GeneratedWorld) -> None:
    for record in world.transactions:
        if record.fault in kinds.MALFORMED:
            assert violations(record.value), record
        else:
            assert violations(record.value) == [], record


def test_every_kind_of_mess_is_there(world: GeneratedWorld) -> None:
    faults = {record.fault for record in world.transactions}
    assert faults >= {
        *kinds.MALFORMED,
        kinds.DUPLICATE_EVENT,
        kinds.CONFLICTING_EVENT,
        kinds.LATE_EVENT,
        kinds.OUT_OF_ORDER_EVENT,
        kinds.CARD_NUMBER,
    }
    score_faults = {record.fault for record in world.scores}
    assert score_faults >= {
        *kinds.MALFORMED_SCORES,
        kinds.DUPLICATE_SCORE,
        kinds.LATE_SCORE,
        kinds.EARLY_SCORE,
        kinds.SECOND_MODEL_SCORE,
        kinds.ORPHAN_SCORE,
    }


def test_no_share_no_mess() -> None:
    tidy = generate(GeneratorSettings.tidy(transactions=300))
    assert {record.fault for record in tidy.transactions} == {None}
    timing = {None, kinds.EARLY_SCORE, kinds.LATE_SCORE, kinds.SECOND_MODEL_SCORE}
    assert {record.fault for record in tidy.scores} <= timing


def test_the_truth_points_at_each_planted_record(world: GeneratedWorld) -> None:
    for case in world.truth.planted:
        if case.place == "payments.transactions":
            record = world.transactions[case.position]
            assert (record.fault, record.key.decode()) == (case.kind, case.identity)
    planted = Counter(record.fault for record in world.transactions if record.fault)
    assert all(world.truth.counts[kind] == number for kind, number in planted.items())


def test_records_stand_in_the_order_of_their_production(world: GeneratedWorld) -> None:
    for records in (world.transactions, world.scores):
        produced = [record.timestamp_ms for record in records]
        assert produced == sorted(produced)


def test_a_duplicate_repeats_and_a_conflict_contradicts_an_earlier_record(
    world: GeneratedWorld,
) -> None:
    originals: dict[str, bytes] = {}
    seen: Counter[str | None] = Counter()
    for record in world.transactions:
        if record.fault in kinds.MALFORMED:
            continue
        event_id = json.loads(record.value)["event_id"]
        if record.fault == kinds.DUPLICATE_EVENT:
            assert originals[event_id] == record.value
        elif record.fault == kinds.CONFLICTING_EVENT:
            assert originals[event_id] != record.value
        else:
            assert event_id not in originals
            originals[event_id] = record.value
        seen[record.fault] += 1
    assert seen[kinds.DUPLICATE_EVENT] == 40
    assert seen[kinds.CONFLICTING_EVENT] == 6


def test_keys_and_ids_are_uuids(world: GeneratedWorld) -> None:
    for record in filter(is_clean, world.transactions):
        event = json.loads(record.value)
        assert record.key.decode() == event["transaction_id"]
        assert str(UUID(event["transaction_id"])) == event["transaction_id"]
        assert UUID(event["event_id"]).version == 4


def test_the_contract_is_used_in_its_whole_width(world: GeneratedWorld) -> None:
    events = [json.loads(r.value) for r in world.transactions if r.fault is None]
    assert {type(event["user_id"]) for event in events} == {str, int}
    assert {type(event["timestamp"]) for event in events} == {str, int}
    assert {type(event["amount"]) for event in events} == {str, int}
    assert any(str(event["amount"]).endswith(".00") for event in events)
    assert any("sequence" not in event for event in events)
    assert any(event.keys() - REQUIRED - {"sequence"} for event in events)
    texts = [event["timestamp"] for event in events if isinstance(event["timestamp"], str)]
    assert len({text[-6:] for text in texts if not text.endswith("Z")}) >= 5


def test_a_pending_payment_is_decided_under_a_higher_sequence(world: GeneratedWorld) -> None:
    statuses: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for record in world.transactions:
        if is_clean(record) and record.fault != kinds.DUPLICATE_EVENT:
            event = json.loads(record.value)
            step = (event.get("sequence", 1), event["transaction_status"])
            statuses[event["transaction_id"]].append(step)
    two_steps = [sorted(steps) for steps in statuses.values() if len(steps) == 2]
    assert len(two_steps) > 400
    assert {first for first, _ in two_steps} == {(1, "PENDING")}
    assert {second for _, second in two_steps} == {(2, "AUTHORIZED"), (2, "DECLINED")}


def test_late_and_out_of_order_events_are_produced_long_after_they_happened(
    world: GeneratedWorld,
) -> None:
    for record in world.transactions:
        if record.fault in (None, kinds.LATE_EVENT, kinds.OUT_OF_ORDER_EVENT):
            delay = record.timestamp_ms - instant_ms(json.loads(record.value)["timestamp"])
            least = {None: 100, kinds.LATE_EVENT: 7_200_000, kinds.OUT_OF_ORDER_EVENT: 120_000}
            assert delay >= least[record.fault]
            assert record.fault is not None or delay < 3_000


def test_card_numbers_are_test_numbers_that_pass_luhn(world: GeneratedWorld) -> None:
    for record in world.transactions:
        if record.fault == kinds.CARD_NUMBER:
            note = re.sub(r"[ -]", "", json.loads(record.value)["note"])
            number = re.search(r"\d{13,19}", note)
            assert number is not None
            digits = [int(digit) for digit in reversed(number[0])]
            doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
            assert (sum(digits[::2]) + sum(doubled)) % 10 == 0


def test_labels_stay_out_of_the_feed(world: GeneratedWorld) -> None:
    for record in (*world.transactions, *world.scores):
        assert not any(pattern.encode() in record.value for pattern in PATTERNS)


def test_frauds_look_like_their_patterns(world: GeneratedWorld) -> None:
    frauds = world.truth.frauds
    assert {payment.pattern for payment in frauds} == set(PATTERNS)
    assert len(frauds) == 60
    assert any(p.country == "KP" for p in frauds if p.pattern == STOLEN_CARD)

    bursts: dict[str, list[int]] = defaultdict(list)
    for payment in frauds:
        if payment.pattern == CARD_TESTING and payment.status != "DECLINED":
            bursts[payment.user_id].append(payment.timestamp_ms)
    # the sixth within a minute is over a limit of five
    assert any(times[5] - times[0] < 60_000 for times in bursts.values() if len(times) > 5)


def test_scores_keep_their_contract(world: GeneratedWorld) -> None:
    for record in world.scores:
        if record.fault in kinds.MALFORMED_SCORES:
            continue
        score = json.loads(record.value, parse_float=Decimal)
        assert list(score) == [
            "model_version",
            "transaction_id",
            "fraud_score",
            "explanations",
            "inference_time",
        ]
        assert 0 <= score["fraud_score"] <= 1
        assert -score["fraud_score"].as_tuple().exponent <= 6
        assert list(score["explanations"]) == ["amount", "location", "merchant", "velocity"]
        assert instant_ms(score["inference_time"]) <= record.timestamp_ms
        assert b"e-" not in record.value.lower().split(b"inference_time")[0].split(b"score")[-1]


def test_scores_tell_fraud_from_honest_payments_mostly(world: GeneratedWorld) -> None:
    frauds = {payment.transaction_id for payment in world.truth.frauds}
    scores = [json.loads(r.value) for r in world.scores if r.fault not in kinds.MALFORMED_SCORES]
    of_frauds = [s["fraud_score"] for s in scores if s["transaction_id"] in frauds]
    of_others = [s["fraud_score"] for s in scores if s["transaction_id"] not in frauds]
    assert sum(of_frauds) / len(of_frauds) > 0.8
    assert sum(of_others) / len(of_others) < 0.1


def test_early_scores_come_before_their_event(world: GeneratedWorld) -> None:
    first_event: dict[bytes, int] = {}
    for record in world.transactions:
        first_event.setdefault(record.key, record.timestamp_ms)
    for record in world.scores:
        if record.fault == kinds.EARLY_SCORE and record.key in first_event:
            assert record.timestamp_ms < first_event[record.key]
