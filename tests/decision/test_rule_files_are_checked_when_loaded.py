"""A wrong decision or region file is refused by name, before anything is decided."""

from __future__ import annotations

import copy
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest import param

from lakehouse.decision import load_regions, load_rules
from lakehouse.decision.rules import FLAGS
from lakehouse.errors import ConfigError, ContractError, LakehouseError
from lakehouse.records.codes import Action, PolicyFlag, ReasonCode
from tests.conftest import ROOT

DECISION, REGIONS = ROOT / "conf" / "decision.yaml", ROOT / "conf" / "regions.yaml"
Values = dict[str, Any]


def _changed(source: Path, folder: Path, change: Callable[[Values], Any]) -> Path:
    values = copy.deepcopy(yaml.safe_load(source.read_text()))
    change(values)
    path = folder / source.name
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def test_every_suspicious_reason_stands_in_the_table() -> None:
    structural = {ReasonCode.NONE, ReasonCode.UNSCORED, ReasonCode.HIGH_SCORE}
    assert set(load_rules(DECISION).reasons.by_explanation.values()) == set(ReasonCode) - structural


def test_rules_have_a_version_of_their_own_values_alone(tmp_path: Path) -> None:
    now = load_rules(DECISION)
    laid_out_otherwise = _changed(DECISION, tmp_path, lambda values: None)
    assert laid_out_otherwise.read_text() != DECISION.read_text()
    assert load_rules(laid_out_otherwise).version == now.version
    for change in (
        lambda values: values["reasons"].update(suspicious_from=0.61),
        lambda values: values["actions"].insert(0, {"score_from": 0.99, "action": "BLOCK"}),
        # of two explanations that contribute alike, the first one gives the reason
        lambda values: values["reasons"]["by_explanation"].update(
            amount=values["reasons"]["by_explanation"].pop("amount")
        ),
    ):
        assert load_rules(_changed(DECISION, tmp_path, change)).version != now.version


def test_a_missing_score_alone_never_gives_allow() -> None:
    rules = load_rules(DECISION)
    for size in range(len(FLAGS) + 1):
        for fired in combinations(FLAGS, size):
            assert rules.action_for(None, fired) is not Action.ALLOW


@pytest.mark.parametrize(
    "change, fault, told",
    [
        param(
            lambda values: values["reasons"].update(suspicious_form=0.5),
            ConfigError,
            "reasons.suspicious_form",
            id="unknown key",
        ),
        param(
            lambda values: values["reasons"].update(suspicious_from=1.5),
            ConfigError,
            r"reasons.suspicious_from: .*less than or equal to 1, got 1.5",
            id="a threshold that is no share",
        ),
        param(
            lambda values: values["reasons"]["by_explanation"].update(amount="AMOUNT"),
            ConfigError,
            r"reasons.by_explanation.amount: .*AMOUNT_ANOMALY.*got 'AMOUNT'",
            id="unknown reason",
        ),
        param(
            lambda values: values["reasons"]["by_explanation"].update(amount="UNSCORED"),
            ContractError,
            r"reasons.by_explanation.amount: expected the reason of a suspicious score",
            id="a reason that explains nothing",
        ),
        param(
            lambda values: values["actions"][0].update(flags=["GEO"]),
            ConfigError,
            r"actions.0.flags.0: .*GEO_BLOCK.*got 'GEO'",
            id="unknown flag",
        ),
        param(
            lambda values: values["actions"].pop(5),
            ContractError,
            r"actions.5: expected REVIEW or BLOCK for a payment without a score, got ALLOW "
            r"\(policy flags: NONE\)",
            id="unscored would be allowed",
        ),
        param(
            lambda values: values["actions"].insert(
                0, {"flags": ["MERCHANT_BLOCK"], "action": "ALLOW"}
            ),
            ContractError,
            r"actions.0: expected REVIEW or BLOCK .*\(policy flags: MERCHANT_BLOCK\)",
            id="unscored would be allowed for a flag",
        ),
        param(
            lambda values: values["actions"].pop(),
            ContractError,
            r"actions.5: expected the last rule, and no other, to have no condition",
            id="some payment gets no action",
        ),
        param(
            lambda values: values["actions"].insert(2, {"action": "REVIEW"}),
            ContractError,
            r"actions.2: expected the last rule, and no other, to have no condition",
            id="rules that are never reached",
        ),
        param(
            lambda values: values["actions"][1].update(unscored=True),
            ContractError,
            r"actions.1: expected `unscored` or `score_from`, got both",
            id="a rule that contradicts itself",
        ),
    ],
)
def test_a_wrong_decision_file_is_refused_by_name(
    tmp_path: Path,
    change: Callable[[Values], Any],
    fault: type[LakehouseError],
    told: str,
) -> None:
    path = _changed(DECISION, tmp_path, change)
    with pytest.raises(fault, match=told) as refused:
        load_rules(path)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize(
    "change, fault, told",
    [
        param(
            lambda values: values["regions"].update(EU=["DE", False]),
            ConfigError,
            r"regions.EU.1: .*valid string, got False",
            id="an unquoted NO",
        ),
        param(
            lambda values: values["regions"]["AFRICA"].append("DE"),
            ContractError,
            r"regions.AFRICA: expected each country once, DE stands in EU too",
            id="a country in two regions",
        ),
        param(
            lambda values: values["regions"].update({f"R{n}": [] for n in range(3)}),
            ContractError,
            r"regions: expected at most 12, got 14",
            id="too many regions",
        ),
        param(
            lambda values: values.pop("default"), ConfigError, "default: Field required", id="none"
        ),
    ],
)
def test_a_wrong_region_file_is_refused_by_name(
    tmp_path: Path,
    change: Callable[[Values], Any],
    fault: type[LakehouseError],
    told: str,
) -> None:
    path = _changed(REGIONS, tmp_path, change)
    with pytest.raises(fault, match=told) as refused:
        load_regions(path)
    assert str(path) in str(refused.value)


def test_the_table_can_speak_of_payments_without_any_flag(tmp_path: Path) -> None:
    def only_flagged(values: Values) -> None:
        values["actions"] = [
            {"flags": ["NONE"], "score_from": 0, "action": "ALLOW"},
            {"action": "REVIEW"},
        ]

    rules = load_rules(_changed(DECISION, tmp_path, only_flagged))
    assert rules.action_for(rules.reasons.suspicious_from, []) is Action.ALLOW
    assert rules.action_for(rules.reasons.suspicious_from, [PolicyFlag.GEO_BLOCK]) is Action.REVIEW
