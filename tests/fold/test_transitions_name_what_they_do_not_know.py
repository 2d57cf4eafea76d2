"""conf/transitions.yaml is checked, and what it says is what is flagged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.errors import ConfigError, ContractError
from lakehouse.fold.pure import derive, union
from lakehouse.fold.rules import ExceptionRule
from lakehouse.fold.transitions import Transitions, load_transitions
from tests.fold.contributions import (
    TRANSITIONS_FILE,
    a_live_event,
    money,
    the_precedence,
    the_transitions,
)

Change = Callable[[dict[str, Any]], object]


def test_the_file_of_the_project_names_every_rule() -> None:
    file = the_transitions()
    assert set(file.rules) == set(file.sentences) == set(ExceptionRule)
    assert len(set(file.sentences.values())) == len(ExceptionRule)


@pytest.mark.parametrize(
    "change, named",
    [
        pytest.param(lambda y: y.update(mood={}), "mood: ", id="section"),
        pytest.param(lambda y: y.pop("limits"), "limits: ", id="missing section"),
        pytest.param(
            lambda y: y["answers"]["follow"].update(MAYBE=[]), "answers.follow.MAYBE", id="answer"
        ),
        pytest.param(
            lambda y: y["answers"]["follow"].pop("PENDING"), "nothing of .*PENDING", id="no answer"
        ),
        pytest.param(
            lambda y: y["answers"].update(apart=["DECLINED"]), "answers.apart", id="apart from none"
        ),
        pytest.param(
            lambda y: y["money"]["legal_on"]["DECLINED"].append("GIFT"),
            "money.legal_on.DECLINED.0",
            id="event",
        ),
        pytest.param(
            lambda y: y["money"]["legal_on"].pop("DECLINED"), "nothing of .*DECLINED", id="status"
        ),
        pytest.param(lambda y: y["limits"][0].update(rule="NEW"), "limits.0.rule", id="rule"),
        pytest.param(
            lambda y: y["limits"][0].update(rule="STATUS_CONFLICT"),
            "one rule for several things: .*STATUS_CONFLICT",
            id="rule of two things",
        ),
        pytest.param(
            lambda y: y["sentences"].pop("STATUS_CONFLICT"),
            "nothing of .*STATUS_CONFLICT",
            id="rule without a sentence",
        ),
        pytest.param(lambda y: y["sentences"].update(NEW="x"), "sentences.NEW", id="sentence"),
        pytest.param(
            lambda y: y["limits"][0].update(up_to="REFUNDED"), "limited by itself", id="limit"
        ),
    ],
)
def test_a_name_that_nobody_knows_is_refused(tmp_path: Path, change: Change, named: str) -> None:
    with pytest.raises(ContractError, match=named) as refused:
        _changed(tmp_path, change)
    assert str(tmp_path / "transitions.yaml") in str(refused.value)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_transitions(tmp_path / "transitions.yaml")


def test_what_the_file_allows_is_not_flagged(tmp_path: Path) -> None:
    members = union((), [a_live_event(transaction_status="PENDING"), money("CHARGEBACK", 1)])

    def flagged(transitions: Transitions) -> list[str]:
        return [*derive("t", members, the_precedence(), transitions)["exceptions"]]

    assert flagged(the_transitions()) == ["CHARGEBACK_EXCEEDS_SETTLED"]
    no_limits = _changed(tmp_path, lambda y: y.update(limits=[]))
    assert flagged(no_limits) == []
    stricter = _changed(tmp_path, lambda y: y["money"]["legal_on"].update(PENDING=["SETTLED"]))
    assert flagged(stricter) == ["CHARGEBACK_EXCEEDS_SETTLED", "MONEY_ON_DECLINED"]


def _changed(folder: Path, change: Change) -> Transitions:
    content = yaml.safe_load(TRANSITIONS_FILE.read_text(encoding="utf-8"))
    change(content)
    changed = folder / "transitions.yaml"
    changed.write_text(yaml.safe_dump(content), encoding="utf-8")
    return load_transitions(changed)
