"""Each view of conf/athena gives what plain Python makes of the same Gold rows."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse import delta
from lakehouse.cli.page.sections import SECTIONS
from lakehouse.cli.questions import answered
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.tables import (
    GOLD_RECONCILIATION,
    GOLD_TRANSACTION_HISTORY,
    GOLD_TRANSACTIONS,
    SILVER_PARITY,
    WAITING_DAY,
)
from lakehouse.views import load_views
from tests.conftest import LOCAL
from tests.gold.rows import a_contribution, a_decision, a_gold_row, append, frame

Row = dict[str, Any]
SEED = 20261126
TODAY = datetime.now(UTC).date()
HORIZON = timedelta(days=Config.load(LOCAL).gold.dispute_horizon_days)


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    """Payments of every kind that the views tell apart; the seed makes them again."""
    chance = random.Random(SEED)
    made = [_row(number, chance) for number in range(200)]
    waiting = a_gold_row("waiting", event_date=WAITING_DAY, timestamp=None, chargeback_amount="5")
    return [*made, waiting]


@pytest.fixture(scope="module")
def asked(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, rows: list[Row]
) -> Callable[[str], list[Row]]:
    """The answer to a question about these rows."""
    local = Config.load(LOCAL)
    root = str(tmp_path_factory.mktemp("analysts"))
    config = local.model_copy(update={"lake": local.lake.model_copy(update={"root": root})})
    delta.create(spark, config, GOLD_TRANSACTIONS)
    path = delta.path_of(config, GOLD_TRANSACTIONS)
    frame(spark, GOLD_TRANSACTIONS, rows).write.format("delta").mode("append").save(path)

    def answer(sql: str) -> list[Row]:
        return [row.asDict(recursive=True) for row in answered(spark, config, sql).collect()]

    return answer


@pytest.mark.parametrize("name", ["local.yaml", "aws.yaml"])
def test_the_label_is_as_old_as_the_dispute_horizon(name: str) -> None:
    config = Config.load(LOCAL.parent / name)
    assert config.gold.dispute_horizon_days == HORIZON.days
    outcomes = load_views(config.rules.views)["gold.outcomes"]
    ages = re.findall(r"date_add\('day', -(\d+), current_date\)", outcomes.athena)
    assert ages == [str(HORIZON.days)] * 2
    told = [outcomes.about, *[each.about for each in SECTIONS if "horizon" in each.about]]
    days = [re.findall(r"horizon (?:of |\()(\d+) days", text) for text in told]
    assert days == [[str(HORIZON.days)]] * len(told)
    assert len(told) == 4  # the view, fraud, reasons, flags


def test_a_current_transaction_is_the_row_of_gold(asked) -> None:  # type: ignore[no-untyped-def]
    found = {row["transaction_id"]: row for row in asked("SELECT * FROM gold.current_transactions")}
    stored = {row["transaction_id"]: row for row in asked("SELECT * FROM gold.transactions")}
    columns = {*GOLD_TRANSACTIONS.columns} - {"contributions", "winners"}
    assert found == {
        key: {name: row[name] for name in columns}
        for key, row in stored.items() if key != "waiting"
    }  # fmt: skip
    # parts of a decision go by their place: each says something else here
    decision = next(row["decision"] for row in found.values() if row["decision"])
    assert len({str(value) for value in decision.values()}) == len(decision) == 10
    assert all(value is not None for value in decision.values())


def test_what_waits_for_its_payment_is_no_transaction(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = asked("SELECT transaction_id FROM gold.current_transactions")
    assert len(found) == len(rows) - 1
    assert "waiting" not in {row["transaction_id"] for row in found}


@pytest.mark.parametrize(
    "view, column",
    [
        ("gold.fraud_by_region", "region"),
        ("gold.fraud_by_currency", "currency"),
        ("gold.fraud_by_merchant", "merchant_id"),
        ("gold.fraud_by_day", "event_date"),
    ],
)
def test_rates_count_only_what_is_old_enough_to_be_known(asked, rows, view, column) -> None:  # type: ignore[no-untyped-def]
    found = {row.pop(column): row for row in asked(f"SELECT * FROM {view}")}
    groups: dict[Any, list[Row]] = {}
    for row in _payments(rows):
        groups.setdefault(row[column], []).append(row)
    assert found == {key: _rates(group) for key, group in groups.items()}
    assert any(row["fraud_rate"] for row in found.values())


def test_a_rule_is_judged_by_what_it_fired_on(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = {
        row.pop("policy_flag"): row for row in asked("SELECT * FROM gold.policy_effectiveness")
    }
    decided = [row for row in _payments(rows) if row["decision"]]
    flags = {flag for row in decided for flag in row["decision"]["policy_flags"]}
    assert found == {
        flag: _effect(rows, [r for r in decided if flag in r["decision"]["policy_flags"]])
        for flag in flags
    }


def test_a_reason_code_is_judged_by_what_it_was_given_for(asked, rows) -> None:  # type: ignore[no-untyped-def]
    sql = "SELECT * FROM gold.reason_effectiveness"
    found = {row.pop("fraud_reason_code"): row for row in asked(sql)}
    decided = [row for row in _payments(rows) if row["decision"]]
    reasons = {row["decision"]["fraud_reason_code"] for row in decided}
    assert found == {
        reason: _effect(rows, [r for r in decided if r["decision"]["fraud_reason_code"] == reason])
        for reason in reasons
    }


def test_what_has_not_settled_is_counted_by_age(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = {
        (row["currency"], row["age"]): (row["transactions"], int(row["amount"]))
        for row in asked("SELECT * FROM gold.settlement_ageing")
    }
    unsettled = [
        row for row in _payments(rows)
        if row["transaction_status"] == "AUTHORIZED" and row["settled_amount"] == "0"
    ]  # fmt: skip
    count = Counter((row["currency"], _age(row["event_date"])) for row in unsettled)
    total: Counter[tuple[str, str]] = Counter()
    for row in unsettled:
        total[row["currency"], _age(row["event_date"])] += int(row["amount"])
    assert found == {key: (count[key], total[key]) for key in count}


def test_a_day_has_its_rates_of_what_can_have_them(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = {row.pop("event_date"): row for row in asked("SELECT * FROM gold.rates_by_day")}
    days: dict[date, list[Row]] = {}
    for row in _payments(rows):
        days.setdefault(row["event_date"], []).append(row)
    assert found == {day: _daily(group) for day, group in days.items()}


def test_scores_are_counted_by_tenth_and_outcome(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = {
        (row["outcome"], row["score_from"]): row["transactions"]
        for row in asked("SELECT * FROM gold.score_distribution")
    }
    assert found == Counter((_outcome(row), _tenth(row["fraud_score"])) for row in _payments(rows))
    assert {None, 0.0, 0.9} <= {score_from for _, score_from in found}


def test_money_is_added_up_by_currency_alone(asked, rows) -> None:  # type: ignore[no-untyped-def]
    sums = ("amount", "settled_amount", "refunded_amount", "chargeback_amount",
            "chargeback_reversed_amount")  # fmt: skip
    groups: dict[Any, list[Row]] = {}
    for row in _payments(rows):
        groups.setdefault((row["currency"], row["base_currency"]), []).append(row)
    found = asked("SELECT * FROM gold.money_by_currency")
    assert {
        (row["currency"], row["base_currency"]): (
            row["transactions"], row["in_base"], row["amount_base"], *(row[name] for name in sums)
        )
        for row in found
    } == {
        key: (
            len(group),
            len(group) if key[1] else 0,
            sum(int(row["amount_base"]) for row in group) if key[1] else None,
            *(sum(int(row[name]) for row in group) for name in sums),
        )
        for key, group in groups.items()
    }  # fmt: skip


def test_a_step_counts_as_it_was_last_counted(lake_for: Callable[[str], Lakehouse]) -> None:
    lake = lake_for("reconcile")
    nothing = {"duplicates": 0, "quarantined": 0, "held": 0, "unexplained": 1, "inputs": [],
               "differences": []}  # fmt: skip
    runs = [datetime(2026, 3, 8, hour, tzinfo=UTC) for hour in (9, 10)]
    lines = (("a", 0, 9), ("c", 0, 1), ("a", 1, 3), ("a", 1, 5), ("b", 1, 5))
    append(lake, GOLD_RECONCILIATION, *[
        {"run_id": f"{run}", "run_at": runs[run], "step": step, "gold_version": 2,
         "delivered": count, "accepted": count - 1, **nothing}
        for step, run, count in lines
    ])  # fmt: skip
    rows = answered(lake.spark, lake.config, "SELECT * FROM gold.reconciled").collect()
    assert {row.step: (row.delivered, row.accepted, row.unexplained) for row in rows} == {
        "a": (8, 6, 2), "b": (5, 4, 1),
    }  # fmt: skip


def test_the_money_of_a_step_is_added_up_by_currency_and_type(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    lake = lake_for("reconcile")
    counted = {
        "run_id": "r", "gold_version": 2, "step": "a", "inputs": [], "differences": [],
        **dict.fromkeys(("delivered", "accepted", "duplicates", "quarantined", "held",
                         "unexplained"), 1),
    }  # fmt: skip
    before, now = (datetime(2026, 3, 8, hour, tzinfo=UTC) for hour in (9, 10))
    lines = (
        (before, "EUR", "SETTLED", "9", "9", None),
        (now, "EUR", "SETTLED", "123456789012345678", "3", "-1"),
        (now, "EUR", "SETTLED", "5", "5", None),
        (now, "EUR", "REFUNDED", "7", "6", "1"),
        (now, "JPY", None, "7", "7", None),
        # records whose amount nobody can read
        (now, None, None, None, None, None),
        (now, "USD", None, None, None, None),
    )
    append(lake, GOLD_RECONCILIATION, *[
        counted | {"run_at": at, "currency": currency, "event_type": kind,
                   "delivered_amount": delivered, "accepted_amount": accepted,
                   "unexplained_amount": unexplained}
        for at, currency, kind, delivered, accepted, unexplained in lines
    ])  # fmt: skip
    rows = answered(lake.spark, lake.config, "SELECT * FROM gold.reconciled_money").collect()
    found = {
        (row.currency, row.event_type): (
            row.delivered_amount, row.accepted_amount, row.unexplained_amount,
        )
        for row in rows
    }  # fmt: skip
    assert found == {
        ("EUR", "SETTLED"): (123456789012345683, 8, -1),
        ("EUR", "REFUNDED"): (7, 6, 1),
        ("JPY", None): (7, 7, None),
    }


def test_a_cause_counts_the_payments_that_still_differ(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    lake = lake_for("compare_paths")
    revisions = [
        ("a", 0, False, ["LATE_SCORE", "OTHER_SCORE"], []),
        ("b", 0, False, ["LATE_SCORE"], []),
        ("b", 1, True, [], []),  # agrees by now
        ("c", 0, False, [], ["amount"]),
        ("c", 1, False, ["LATE_SCORE"], ["amount"]),
    ]
    append(lake, SILVER_PARITY, *[
        {"identity": id_, "transaction_id": id_, "revision": revision, "withdrawn": withdrawn,
         "differences": [], "causes": causes, "unexplained": unexplained, "event_date": TODAY,
         "read_versions": {},
         "compared_at": datetime.now(UTC)}
        for id_, revision, withdrawn, causes, unexplained in revisions
    ])  # fmt: skip
    rows = answered(lake.spark, lake.config, "SELECT * FROM silver.parity_by_cause").collect()
    assert {row.cause: row.payments for row in rows} == {
        "LATE_SCORE": 2, "OTHER_SCORE": 1, "UNEXPLAINED": 1,
    }  # fmt: skip
    assert {row.last_day for row in rows} == {TODAY}


def test_a_dispute_begins_with_its_first_chargeback(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = {
        row["transaction_id"]: (row["state"], row["disputed_at"].astimezone(UTC))
        for row in asked("SELECT * FROM gold.disputes")
    }
    assert found == {
        row["transaction_id"]: (
            "OPEN" if row["settlement_status"] == "CHARGEBACK" else "REVERSED",
            min(c["event_time"] for c in row["contributions"] if c.get("event_type")),
        )
        for row in _payments(rows) if row["chargeback_amount"] != "0"
    }  # fmt: skip


def test_each_broken_rule_is_a_row(asked, rows) -> None:  # type: ignore[no-untyped-def]
    found = Counter(row["rule_id"] for row in asked("SELECT rule_id FROM gold.exceptions"))
    assert found == Counter(rule for row in rows for rule in row["exceptions"])


def test_what_was_known_at_a_time_is_one_row_of_each(
    lake_for: Callable[[str], Lakehouse],
) -> None:
    lake = lake_for("record_history")
    hours = [datetime(2026, 3, 8, hour, tzinfo=UTC) for hour in (9, 12, 15)]
    states = [
        ("a", 1, hours[0], "PENDING"),
        ("a", 3, hours[2], "AUTHORIZED"),
        ("b", 2, hours[1], "DECLINED"),
        ("c", 2, hours[1], None),
        ("c", 3, hours[2], "AUTHORIZED"),
        # its payment was withdrawn
        ("d", 1, hours[0], "PENDING"),
        ("d", 2, hours[1], None),
    ]
    without = ("user_id",)
    append(lake, GOLD_TRANSACTION_HISTORY, *[
        {key: value for key, value in a_gold_row(id_, transaction_status=status,
                                                 decision=a_decision(**OF_DECISION)).items()
         if key not in without}
        | {"gold_version": version, "known_from": at, "known_date": at.date(),
           "changed_groups": [], "contributions": []}
        | ({"event_date": WAITING_DAY} if status is None else {})
        for id_, version, at, status in states
    ])  # fmt: skip

    def as_of(moment: str) -> dict[str, str]:
        sql = (
            "SELECT transaction_id, transaction_status FROM gold.known_transactions "
            f"WHERE known_from <= TIMESTAMP '{moment}' "
            f"AND (known_until IS NULL OR known_until > TIMESTAMP '{moment}')"
        )
        return {row[0]: row[1] for row in answered(lake.spark, lake.config, sql).collect()}

    def in_days(moment: str) -> dict[str, str]:
        # the cheap form at the head of the view
        lines = load_views(lake.config.rules.views)["gold.known_transactions"].athena.splitlines()
        start = next(n for n, line in enumerate(lines) if "max_by(transaction_status" in line)
        sql = " ".join(line.removeprefix("--") for line in lines[start : start + 5])
        asked = sql.replace("2026-03-08 14:03:00", moment)
        assert asked.count(moment) == 1
        return {row[0]: row[1] for row in answered(lake.spark, lake.config, asked).collect()}

    for moment in ("2026-03-08 08:59:59", "2026-03-08 09:00:00", "2026-03-08 14:59:59"):
        assert in_days(moment) == as_of(moment)
    assert as_of("2026-03-08 08:59:59") == {}
    assert as_of("2026-03-08 09:00:00") == {"a": "PENDING", "d": "PENDING"}
    assert as_of("2026-03-08 14:59:59") == {"a": "PENDING", "b": "DECLINED"}
    assert as_of("2026-03-08 15:00:00") == {"a": "AUTHORIZED", "b": "DECLINED", "c": "AUTHORIZED"}

    def rows(name: str) -> dict[tuple[str, int], Row]:
        found = answered(lake.spark, lake.config, f"SELECT * FROM {name}").collect()
        return {(row.transaction_id, row.gold_version): row.asDict(True) for row in found}

    known, kept = rows("gold.known_transactions"), rows(GOLD_TRANSACTION_HISTORY.name)
    ends = {("a", 1): 3, ("d", 1): 2}
    assert known == {
        key: {name: row[name] for name in known["a", 1] if name != "known_until"}
        | {"known_until": kept[key[0], ends[key]]["known_from"] if key in ends else None}
        for key, row in kept.items() if row["event_date"] != WAITING_DAY
    }  # fmt: skip
    assert known["a", 1]["decision"]["model_version"] == "a model"


OF_DECISION = {
    "event_id": "an event", "fraud_score": "0.5", "score_source": "TOPIC", "score_id": "a score",
    "model_version": "a model", "policy_flag": "GEO_BLOCK",
}  # fmt: skip


def _row(number: int, chance: random.Random) -> Row:
    day = TODAY - timedelta(days=chance.choice([0, 1, 2, 3, 4, 7, 8, 30, 31, 179, 180, 181, 300]))
    at = datetime.combine(day, datetime.min.time(), UTC)
    settled, disputed = chance.random() < 0.7, chance.random() < 0.4
    reversed_ = disputed and chance.random() < 0.4
    amount = str(chance.randrange(1, 10_000))
    chargebacks = [
        a_contribution(f"m{number}-{n}", source="MONEY_EVENT", event_type="CHARGEBACK",
                       event_time=at + timedelta(days=n))
        for n in (2, 1)
    ]  # fmt: skip
    flags = chance.choice([[], ["GEO_BLOCK"], ["GEO_BLOCK", "AMOUNT_LIMIT"]])
    decision = a_decision(
        **OF_DECISION,
        policy_flags=flags,
        fraud_reason_code=chance.choice(["NONE", "HIGH_SCORE"]),
        recommended_action=chance.choice(["ALLOW", "REVIEW", "BLOCK"]),
    )
    return a_gold_row(
        f"t-{number}", event_date=day, timestamp=at, amount=amount,
        currency=chance.choice(["EUR", "JPY"]), region=chance.choice(["EU", "APAC"]),
        merchant_id=f"m-{chance.randrange(5)}",
        transaction_status=chance.choice(["AUTHORIZED", "AUTHORIZED", "DECLINED", "PENDING"]),
        decision=decision if chance.random() < 0.9 else None,
        settled_amount=amount if settled else "0",
        chargeback_amount=amount if disputed else "0",
        chargeback_reversed_amount=amount if reversed_ else "0",
        settlement_status="CHARGEBACK" if disputed and not reversed_ else None,
        exceptions=chance.choice([[], ["A_RULE"], ["A_RULE", "B_RULE"]]),
        contributions=[a_contribution(), *(chargebacks if disputed else [])],
        fraud_score=(None, "0", "0.05", "0.1", "0.95", "1")[number % 6],
        **({"amount_base": amount, "base_currency": "EUR"} if number % 3 else
           {"amount_base": None, "base_currency": None}),
    )  # fmt: skip


def _payments(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if row["event_date"] != WAITING_DAY]


def _is_labelled(row: Row) -> bool:
    return bool(row["settled_amount"] != "0" and row["event_date"] <= TODAY - HORIZON)


def _is_fraud(row: Row) -> bool:
    lost = int(row["chargeback_amount"]) > int(row["chargeback_reversed_amount"])
    return _is_labelled(row) and lost


def _is_genuine(row: Row) -> bool:
    return _is_labelled(row) and not _is_fraud(row)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _rates(group: list[Row]) -> Row:
    labelled, fraud = sum(map(_is_labelled, group)), sum(map(_is_fraud, group))
    genuine = [row for row in group if _is_genuine(row) and row["decision"]]
    alarms = sum(row["decision"]["recommended_action"] in ("REVIEW", "BLOCK") for row in genuine)
    status = Counter(row["transaction_status"] for row in group)
    return {
        "transactions": len(group),
        "labelled": labelled,
        "fraudulent": fraud,
        "fraud_rate": _ratio(fraud, labelled),
        "false_positive_rate": _ratio(alarms, len(genuine)),
        "declined": status["DECLINED"],
        "decline_rate": _ratio(status["DECLINED"], status["DECLINED"] + status["AUTHORIZED"]),
    }


def _daily(group: list[Row]) -> Row:
    status = Counter(row["transaction_status"] for row in group)
    settled = [row for row in group if row["settled_amount"] != "0"]
    disputed = sum(_is_disputed(row) for row in settled)
    decided = [row["decision"] for row in group if row["decision"]]
    flagged = sum(each["recommended_action"] != "ALLOW" for each in decided)
    answered_ = status["DECLINED"] + status["AUTHORIZED"]
    return {
        "transactions": len(group),
        "answered": answered_,
        "declined": status["DECLINED"],
        "decline_rate": _ratio(status["DECLINED"], answered_),
        "settled": len(settled),
        "disputed": disputed,
        "dispute_rate": _ratio(disputed, len(settled)),
        "decided": len(decided),
        "flagged": flagged,
        "flag_rate": _ratio(flagged, len(decided)),
    }


def _is_disputed(row: Row) -> bool:
    return int(row["chargeback_amount"]) > int(row["chargeback_reversed_amount"])


def _outcome(row: Row) -> str:
    if _is_disputed(row):
        return "DISPUTED"
    if row["transaction_status"] == "DECLINED":
        return "DECLINED"
    return "SETTLED" if row["settled_amount"] != "0" else "WAITING"


def _tenth(score: str | None) -> float | None:
    return None if score is None else min(int(float(score) * 10), 9) / 10


def _effect(rows: list[Row], fired: list[Row]) -> Row:
    labelled, fraud = sum(map(_is_labelled, fired)), sum(map(_is_fraud, fired))
    decided = [row for row in _payments(rows) if row["decision"]]
    return {
        "fired": len(fired),
        "labelled": labelled,
        "fraudulent": fraud,
        "precision": _ratio(fraud, labelled),
        "recall": _ratio(fraud, sum(map(_is_fraud, decided))),
        "false_positive_rate": _ratio(labelled - fraud, sum(map(_is_genuine, decided))),
    }


def _age(day: date) -> str:
    days = (TODAY - day).days
    for most, name in (
        (1, "0 to 1 days"),
        (3, "2 to 3 days"),
        (7, "4 to 7 days"),
        (30, "8 to 30 days"),
    ):
        if days <= most:
            return name
    return "over 30 days"
