"""The audit of a lake whose past is known: as of a time, what changed, what was decided."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from typer.testing import CliRunner

from gold.audit import audit
from gold.deciding import DecisionReport
from gold.differences import TransactionChange
from gold.questions import AsOfReport, DifferenceReport
from lakehouse.cli import app
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.delta import commit_times, path_of
from lakehouse.errors import (
    BeforeFirstVersionError,
    BeyondKnownHistoryError,
    DecisionsDifferError,
    DecisionsNotToldError,
    LineageBrokenError,
    NotDecidedError,
    TransactionNotFoundError,
    UserNotFoundError,
    VersionNotFoundError,
)
from lakehouse.tables import (
    BRONZE_FRAUD_SCORES,
    BRONZE_TRANSACTIONS,
    GOLD_TRANSACTIONS,
    SILVER_FRAUD_SCORES,
    SILVER_LIVE_TRANSACTIONS,
    SILVER_POLICIES,
    Table,
)
from tests.conftest import addresses, on_free_ports, override
from tests.gold.audited import PLAIN as PLAIN_RECORD
from tests.gold.audited import PLAIN_SCORE, Audited, audited
from tests.gold.horizon import shortened, vacuumed
from tests.silver.live_records import an_id, records_of

PLAIN, BLOCKED, RISKY = an_id("plain"), an_id("blocked"), an_id("risky")
BEYOND = "gold.transaction_history"


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Iterator[Audited]:
    """The lake that all tests ask; those that break it come last, or break a copy."""
    with audited(tmp_path_factory.mktemp("past"), spark) as lake:
        yield lake


def then(past: Audited, name: str, after: timedelta = timedelta()) -> str:
    """The moment of a version's commit, and so much later."""
    return (past.committed[past.versions[name]] + after).isoformat()


def gold_as_of(lake: Lakehouse, moment: object, **question: Any) -> AsOfReport:
    report = audit(lake, as_of=str(moment), **question)
    assert isinstance(report, AsOfReport)
    return report


def difference(lake: Lakehouse, before: object, after: object, **question: Any) -> DifferenceReport:
    report = audit(lake, diff_from=str(before), diff_to=str(after), **question)
    assert isinstance(report, DifferenceReport)
    return report


def decisions(lake: Lakehouse, name: str, **question: Any) -> DecisionReport:
    report = audit(lake, decision=an_id(name), **question)
    assert isinstance(report, DecisionReport)
    return report


def statuses(report: AsOfReport) -> dict[str, tuple[Any, ...]]:
    """Amount, settlement and score of each transaction."""
    return {
        row["transaction_id"]: (row["amount"], row["settlement_status"], row["score_source"])
        for row in report.shown
    }


def test_gold_is_shown_as_it_stood_at_a_time_to_the_microsecond(past: Audited) -> None:
    instant = timedelta(microseconds=1)
    asked = {"decided": timedelta(), "settled": timedelta(), "disputed": instant}
    told = {
        name: statuses(gold_as_of(past.gold, then(past, name, later), transaction_id=[PLAIN]))
        for name, later in asked.items()
    }  # fmt: skip
    assert told == {
        "decided": {PLAIN: (1000, None, "TOPIC")},
        "settled": {PLAIN: (1100, "SETTLED", "OFFLINE")},
        "disputed": {PLAIN: (1100, "CHARGEBACK", "OFFLINE")},
    }
    # commit times have milliseconds: an instant before one, the version before it stands
    just_before = gold_as_of(past.gold, then(past, "settled", -instant), transaction_id=[PLAIN])
    assert just_before.standing.version == past.versions["settled"] - 1
    assert just_before.standing.known_until == past.committed[past.versions["settled"]]
    assert statuses(just_before) == told["decided"]
    assert just_before.answered_by == "time travel"
    by_version = gold_as_of(past.gold, past.versions["settled"], transaction_id=[PLAIN])
    assert statuses(by_version) == told["settled"]


def test_a_question_may_be_about_a_user_or_about_values(past: Audited) -> None:
    version = past.versions["decided"]
    assert statuses(gold_as_of(past.gold, version, user="payer of risky")).keys() == {RISKY}
    assert gold_as_of(past.gold, version, user="a frequent payer").transactions == 3
    assert gold_as_of(past.gold, version).transactions == 6
    assert gold_as_of(past.gold, version, limit=2).transactions == 6

    def found(*conditions: str) -> set[str]:
        return set(statuses(gold_as_of(past.gold, version, where=[*conditions])))

    assert found("country=KP") == {BLOCKED}
    assert found("recommended_action=BLOCK") == {BLOCKED, RISKY}
    assert found("recommended_action=BLOCK", "country=DE") == {RISKY}
    assert found("country=KP", "country=FR") == {BLOCKED}
    assert len(found("settlement_status=")) == 6
    with pytest.raises(UserNotFoundError):
        gold_as_of(past.gold, version, user="nobody")
    with pytest.raises(TransactionNotFoundError, match=f"at version {version}"):
        gold_as_of(past.gold, version, transaction_id=[an_id("nothing")])


def test_a_time_before_gold_and_a_version_that_is_none_are_refused(past: Audited) -> None:
    with pytest.raises(BeforeFirstVersionError, match="before that nothing was known"):
        gold_as_of(past.gold, past.before_all.isoformat())
    with pytest.raises(VersionNotFoundError, match="the newest is 4"):
        gold_as_of(past.gold, 5)


def test_a_difference_names_each_field_and_the_contribution_behind_it(past: Audited) -> None:
    found = difference(past.gold, then(past, "decided"), then(past, "settled"))
    changes = {change.transaction_id: change for change in found.shown}
    assert changes.keys() == {PLAIN, BLOCKED}
    plain = changes[PLAIN]
    sources = {c.identity: c.source for c in plain.contributions}
    assert sorted(sources.values()) == ["BATCH_LOG", "MONEY_EVENT", "OFFLINE_SCORE"]
    assert {c.change for c in plain.contributions} == {"NEW"}

    assert causes(plain, sources) == {
        "amount": (1000, 1100, ["BATCH_LOG"]),
        "settlement_status": (None, "SETTLED", ["MONEY_EVENT"]),
        "settled_amount": (0, 1100, ["MONEY_EVENT"]),
        "fraud_score": (0.25, 0.75, ["OFFLINE_SCORE"]),
        "score_source": ("TOPIC", "OFFLINE", ["OFFLINE_SCORE"]),
    }
    why = {each.field: each.why for each in plain.fields}
    assert why["amount"] == "source BATCH_LOG is stronger than LIVE_EVENT"
    assert why["fraud_score"] == "source OFFLINE_SCORE is stronger than TOPIC_SCORE"

    later = difference(past.gold, past.versions["settled"], past.versions["disputed"])
    [disputed] = later.shown
    two = {c.identity for c in disputed.contributions}
    [status] = [each for each in disputed.fields if each.field == "settlement_status"]
    assert (status.before, status.after) == ("SETTLED", "CHARGEBACK")
    assert status.caused_by == [an_id("CHARGEBACK of plain")]
    assert two == {an_id("CHARGEBACK of plain"), an_id("REFUNDED of plain")}
    nothing = difference(past.gold, past.versions["settled"], past.versions["settled"])
    assert (nothing.transactions, nothing.shown) == (0, [])


def causes(change: TransactionChange, sources: dict[str, str]) -> dict[str, tuple[Any, ...]]:
    """Before, after and sources of what caused it, of the fields that tell most."""
    shown = ("amount", "settlement_status", "settled_amount", "fraud_score", "score_source")
    return {
        each.field: (plain(each.before), plain(each.after), [sources[i] for i in each.caused_by])
        for each in change.fields
        if each.field in shown
    }


def plain(value: Any) -> Any:
    return value if value is None or isinstance(value, str) else float(value)


def test_a_difference_may_be_about_a_user_or_about_values_before_or_after(past: Audited) -> None:
    versions = (past.versions["decided"], past.versions["settled"])
    for question in ({"user": "payer of plain"}, {"where": ["settlement_status=SETTLED"]}):
        [change] = difference(past.gold, *versions, **question).shown
        assert change.transaction_id == PLAIN
    assert difference(past.gold, *versions, where=["country=FR"]).transactions == 0


def test_beyond_time_travel_history_answers_and_says_so(past: Audited, tmp_path: Path) -> None:
    decided, settled = past.versions["decided"], past.versions["settled"]
    by_travel = gold_as_of(past.gold, decided)
    changes = difference(past.gold, decided, settled).shown
    lake = past.copied(tmp_path)
    vacuumed(lake, GOLD_TRANSACTIONS)

    by_history = gold_as_of(lake, decided)
    assert by_history.answered_by == BEYOND
    assert "beyond time travel" in by_history.notes[0]
    assert [without_payer(row) for row in by_travel.shown] == by_history.shown
    of_user = gold_as_of(lake, then(past, "decided"), user="a frequent payer")
    assert of_user.transactions == 3
    assert "those of the rows of now" in of_user.notes[1]
    remembered = difference(lake, decided, settled)
    assert remembered.answered_by == (BEYOND, BEYOND)
    assert [(c.transaction_id, causes_of(c)) for c in remembered.shown] == [
        (c.transaction_id, causes_of(c)) for c in changes
    ]
    with pytest.raises(BeyondKnownHistoryError, match=f"complete through version {settled}"):
        gold_as_of(lake, past.versions["refunded"])
    assert gold_as_of(lake, past.versions["disputed"]).answered_by == "time travel"

    # a log that was cleaned, too: then the chain tells which version a time means
    shortened(lake, GOLD_TRANSACTIONS, through=settled)
    moment = then(past, "decided", timedelta(microseconds=1))
    assert gold_as_of(lake, moment, transaction_id=[PLAIN]).standing.version == decided
    assert statuses(gold_as_of(lake, moment)) == statuses(by_travel)


def without_payer(row: Any) -> Any:
    contributions = [
        {name: value for name, value in each.items() if name != "user_id"}
        for each in row["contributions"]
    ]
    rest = {name: value for name, value in row.items() if name != "user_id"}
    return rest | {"contributions": contributions}


def causes_of(change: TransactionChange) -> dict[str, list[str]]:
    return {each.field: each.caused_by for each in change.fields}


def test_honest_decisions_follow_from_evidence_and_from_what_was_known(past: Audited) -> None:
    for name, action, policies in (
        ("plain", "ALLOW", "NONE"),
        ("blocked", "BLOCK", "GEO_BLOCK"),
        ("risky", "BLOCK", "NONE"),
        ("often 2", "REVIEW", "VELOCITY_LIMIT"),
    ):
        report = decisions(past.gold, name)
        [decision] = report.decisions
        assert report.is_equal
        told = decision.told
        assert (told["recommended_action"], told["policy_flag"]) == (action, policies)
        # the policy that came later and backdated was not known
        assert decision.policies_in_force == ["geo version 1", "often version 1"]
        assert not decision.notes
        assert report.gold is not None
        assert report.gold.version == past.versions["disputed"]


@pytest.mark.parametrize(
    "lost",
    [vacuumed, lambda lake, table: shortened(lake, table, through=1)],
    ids=["files are gone", "the log is gone"],
)
def test_a_decision_of_before_the_policies_left_is_not_called_wrong(
    past: Audited, tmp_path: Path, lost: Callable[[Lakehouse, Table], None],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    lake = past.copied(tmp_path)
    lost(lake, SILVER_POLICIES)
    # what is left has the policy that came later, and forbids the payment's country
    with pytest.raises(
        DecisionsNotToldError, match="of 1 of 1 decisions it cannot be told"
    ) as told:
        audit(lake, decision=PLAIN)
    assert told.value.exit_code == 3
    shown = capsys.readouterr().out
    assert "CANNOT BE TOLD policy_flag: recorded NONE, what may have been known gives" in shown
    assert "is beyond time travel" in shown
    assert "DIFFERS" not in shown
    # of what does not depend on policies it can be told
    replace(past, gold=lake).forge(SILVER_FRAUD_SCORES, "plain", fraud_score="0.9")
    with pytest.raises(DecisionsDifferError):
        audit(lake, decision=PLAIN)
    assert "DIFFERS fraud_score" in capsys.readouterr().out


def cut_off(lake: Lakehouse, table: Table) -> None:
    """Let the log of a table begin behind all that was written to it."""
    path = path_of(lake.config, table)
    newest = max(commit_times(lake.spark, path))
    lake.spark.sql(f"ALTER TABLE delta.`{path}` SET TBLPROPERTIES ('cut' = 'off')")
    shortened(lake, table, through=newest)


BY_BACKDATED = {
    "policies": "concat(array(named_struct('policy_id', 'backdated', 'version', 1, "
    "'flag', 'GEO_BLOCK', 'fired', true)), policies)",
    "policy_flags": "array('GEO_BLOCK')", "policy_flag": "'GEO_BLOCK'",
    "recommended_action": "'BLOCK'",
}  # fmt: skip


def test_policies_of_later_do_not_prove_a_decision_whose_commit_is_cut_off(
    past: Audited, tmp_path: Path
) -> None:
    lake = past.copied(tmp_path)
    replace(past, gold=lake).forge(SILVER_LIVE_TRANSACTIONS, "plain", **BY_BACKDATED)
    cut_off(lake, SILVER_LIVE_TRANSACTIONS)
    [honest] = decisions(lake, "blocked").decisions
    assert (honest.outcome, honest.told["committed_at"]) == ("EQUAL", None)
    assert "does not reach back to its commit" in honest.notes[0]
    decided_at = decisions(past.gold, "plain").decisions[0].told["decided_at"]
    with pytest.raises(DecisionsNotToldError):
        # of before Gold took it
        audit(lake, decision=PLAIN, as_of=decided_at.isoformat(), quiet=True)


def test_a_score_of_later_whose_commit_is_cut_off_does_not_make_a_decision_wrong(
    past: Audited, tmp_path: Path
) -> None:
    lake = past.copied(tmp_path)
    path = path_of(lake.config, SILVER_FRAUD_SCORES)
    scores = lake.read(SILVER_FRAUD_SCORES).where(F.col("transaction_id") == PLAIN)
    newer = scores.withColumns({
        "identity": F.lit("newer"),
        "inference_time": F.col("inference_time") + F.expr("INTERVAL 1 MINUTE"),
        "fraud_score": F.lit("0.95").cast("decimal(7,6)"),
    })  # fmt: skip
    newer.write.format("delta").mode("append").save(path)
    assert decisions(lake, "plain").is_equal
    cut_off(lake, SILVER_FRAUD_SCORES)
    with pytest.raises(DecisionsNotToldError):
        audit(lake, decision=PLAIN, quiet=True)


def test_what_the_gateway_saw_goes_by_when_it_was_decided(past: Audited) -> None:
    [decision] = decisions(past.gold, "plain").decisions
    decided_at: datetime = decision.told["decided_at"]
    with pytest.raises(NotDecidedError, match="nothing had been decided"):
        decisions(past.gold, "plain", as_of=(decided_at - timedelta(seconds=1)).isoformat())
    # Gold was not there yet, or did not have it
    at_once = decisions(past.gold, "plain", as_of=decided_at.isoformat())
    assert at_once.is_equal
    assert at_once.gold is None
    later = decisions(past.gold, "plain", as_of=str(past.versions["decided"]))
    assert later.gold is not None
    assert later.gold.version == past.versions["decided"]


def test_the_command_line_answers_people_and_programs(past: Audited, tmp_path: Path) -> None:
    ids = tmp_path / "ids.txt"
    ids.write_text(f"{PLAIN}\n{RISKY.upper()}\n\n")
    version = str(past.versions["settled"])
    for_programs = CliRunner().invoke(app, ["audit", "as-of", version, "--ids", str(ids), "--json"])
    assert for_programs.exit_code == 0, for_programs.output
    found = document_in(for_programs.stdout)
    assert {row["transaction_id"] for row in found["shown"]} == {PLAIN, RISKY}
    assert found["standing"]["version"] == past.versions["settled"]
    people = CliRunner().invoke(app, ["audit", "diff", "1", version, "--transaction", PLAIN])
    assert "settlement_status [money]: - -> SETTLED, by" in people.stdout
    told = CliRunner().invoke(app, ["audit", "decision", BLOCKED]).stdout
    assert "told BLOCK" in told
    assert "by what was known then: equal" in told
    everything = CliRunner().invoke(app, ["audit", "decisions", "--json"])
    assert document_in(everything.stdout) == {"decisions": 6, "equal": 6, "differences": []}
    for words in (
        ["as-of", "soon"],
        ["as-of", "1", "--where", "user_id=x"],
        ["diff", version, "1"],
    ):
        refused = CliRunner().invoke(app, ["audit", *words], standalone_mode=False)
        assert type(refused.exception).__name__ == "BadParameter", words


def test_explain_tells_who_won_and_names_what_is_missing_until_it_is_there(
    past: Audited, monkeypatch: pytest.MonkeyPatch, services: Config
) -> None:
    spark, lake = past.gold.spark, past.paths.live
    override(monkeypatch, on_free_ports())
    silent = CliRunner().invoke(app, ["explain", PLAIN, "--json"])
    assert isinstance(silent.exception, LineageBrokenError)
    assert "DynamoDB was not asked" in "".join(
        json.loads(silent.stdout[silent.stdout.index("{") :])["missing"]
    )
    # the payment is of long ago
    override(monkeypatch, addresses(services) | {"DYNAMODB__RETENTION_DAYS": 1})
    unexplained = CliRunner().invoke(app, ["explain", PLAIN])
    assert isinstance(unexplained.exception, LineageBrokenError)
    assert "MISSING: silver.live_transactions" in unexplained.stdout  # nothing came by Kafka
    assert "DynamoDB was not asked" not in unexplained.stdout

    records = records_of(spark, PLAIN_RECORD, PLAIN_SCORE)
    lake.append(records.where("offset = 0"), BRONZE_TRANSACTIONS)
    lake.append(records.where("offset = 1"), BRONZE_FRAUD_SCORES)
    told = CliRunner().invoke(app, ["explain", PLAIN, "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.stdout[told.stdout.index("{") :])
    assert found["missing"] == []
    # history ends with the settlement: what came later waits for it
    assert any("record_history has 2 versions to read" in each for each in found["waiting"])
    assert {s["table"] for s in found["sightings"]} >= {
        "bronze.transactions", "bronze.fraud_scores", "bronze.drops_transactions",
        "bronze.drops_money_events", "bronze.drops_fraud_scores", "silver.live_transactions",
        "silver.fraud_scores", "silver.offline_scores", "silver.batch_transactions",
        "silver.money_events", "gold.transactions",
    }  # fmt: skip
    states = [(state["version"], len(state["brought"])) for state in found["gold_versions"]]
    assert states == [(past.versions["decided"], 2), (past.versions["settled"], 3)]
    why = {win["group"]: (win["source"], win["why"]) for win in found["winners"]}
    assert why["score"] == ("OFFLINE_SCORE", "source OFFLINE_SCORE is stronger than TOPIC_SCORE")
    assert why["decision"] == ("LIVE_EVENT", "no other contribution has a say")

    path = path_of(past.gold.config, GOLD_TRANSACTIONS)
    spark.sql(f"DELETE FROM delta.`{path}` WHERE transaction_id = '{PLAIN}'")
    broken = CliRunner().invoke(app, ["explain", PLAIN])
    assert isinstance(broken.exception, LineageBrokenError)
    assert "MISSING: silver.money_events" in broken.stdout
    spark.sql(f"RESTORE TABLE delta.`{path}` TO VERSION AS OF {past.versions['disputed']}")


def document_in(output: str) -> Any:
    """The JSON document: lines of the log stand beside it where nobody has set up the log."""
    [document] = [line for line in output.splitlines() if line.startswith("{")]
    return json.loads(document)


@pytest.mark.parametrize(
    ("name", "forged", "by_evidence", "by_knowledge"),
    [
        pytest.param(
            "risky", {"recommended_action": "'ALLOW'"},
            {"recommended_action"}, {"recommended_action"}, id="an action",
        ),
        pytest.param(
            "often 2",
            {
                "velocity": "transform(velocity, v -> named_struct('policy_id', v.policy_id, "
                "'window_seconds', v.window_seconds, 'count', 1L, 'amount', v.amount))",
                "policies": "transform(policies, p -> named_struct('policy_id', p.policy_id, "
                "'version', p.version, 'flag', p.flag, 'fired', false))",
                "policy_flags": "array()", "policy_flag": "'NONE'",
            },
            set(), {"velocity", "policies", "policy_flags", "policy_flag"},
            id="velocity, and all that follows from it",
        ),
        pytest.param(
            "blocked",
            {
                "policies": "filter(policies, p -> p.policy_id <> 'geo')",
                "policy_flags": "array()", "policy_flag": "'NONE'",
                "recommended_action": "'REVIEW'",
            },
            set(), {"policies", "policy_flags", "policy_flag", "recommended_action"},
            id="a policy, and all that follows from it",
        ),
        pytest.param(
            "plain", {"fraud_score": "0.9", "region": "'ASIA'"},
            {"fraud_reason_code", "recommended_action"}, {"fraud_score", "region"}, id="a score",
        ),
        pytest.param(
            "often 0", {"rules_version": "'of nobody'"},
            {"rules_version"}, {"rules_version"}, id="rules that nobody recorded",
        ),
    ],
)  # fmt: skip
def test_a_forged_decision_is_found(
    past: Audited, name: str, forged: dict[str, str], by_evidence: set[str], by_knowledge: set[str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    past.forge(SILVER_LIVE_TRANSACTIONS, name, **forged)
    with pytest.raises(DecisionsDifferError, match="1 of 1 decisions"):
        audit(past.gold, decision=an_id(name), as_json=True)
    report = json.loads(capsys.readouterr().out)
    [decision] = report["decisions"]
    assert fields_of(decision["by_evidence"]) == by_evidence
    assert by_knowledge <= fields_of(decision["by_knowledge"])
    assert not report["is_equal"]


FORGED = (
    "named_struct('event_id', {event_id}, 'decided_at', decision.decided_at, "
    "'fraud_score', decision.fraud_score, 'fraud_reason_code', decision.fraud_reason_code, "
    "'score_source', decision.score_source, 'score_id', decision.score_id, "
    "'model_version', decision.model_version, 'policy_flag', decision.policy_flag, "
    "'policy_flags', decision.policy_flags, 'recommended_action', 'BLOCK')"
)


def test_a_decision_forged_in_gold_is_found_and_the_command_fails(past: Audited) -> None:
    decision = FORGED.format(event_id="decision.event_id")
    past.forge(GOLD_TRANSACTIONS, "often 1", decision=decision)
    failed = CliRunner().invoke(app, ["audit", "decision", an_id("often 1")])
    assert isinstance(failed.exception, DecisionsDifferError)
    assert "DIFFERS gold.decision.recommended_action: recorded BLOCK" in failed.stdout


def test_a_gold_that_goes_by_another_event_does_not_wait_for_the_first(
    past: Audited, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing = "filter(contributions, c -> c.source <> 'LIVE_EVENT')"
    past.forge(
        GOLD_TRANSACTIONS, "often 1", contributions=nothing,
        decision=FORGED.format(event_id="'another'"),
    )  # fmt: skip
    with pytest.raises(DecisionsDifferError, match="are not what Gold says"):
        audit(past.gold, decision=an_id("often 1"))
    assert "DIFFERS gold.decision.event_id: recorded another, " in capsys.readouterr().out
    past.forge(GOLD_TRANSACTIONS, "often 1", decision="null")
    assert decisions(past.gold, "often 1").gold is None


def fields_of(differences: list[dict[str, str]]) -> set[str]:
    return {each["field"] for each in differences}
