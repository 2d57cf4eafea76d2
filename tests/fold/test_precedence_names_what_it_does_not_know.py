"""conf/precedence.yaml is checked: every name in it is one that the code knows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lakehouse.errors import ConfigError, ContractError
from lakehouse.fold.precedence import load_precedence
from tests.fold.contributions import PRECEDENCE_FILE

Change = Callable[[dict[str, Any]], object]


def test_the_file_of_the_project_is_complete() -> None:
    groups = load_precedence(PRECEDENCE_FILE).contested
    assert next(iter(groups)) == "payment_facts"
    assert ("amount", "currency") in [*groups["payment_facts"].units]


@pytest.mark.parametrize(
    "change, named",
    [
        pytest.param(lambda y: y.update(mood={}), "mood", id="group"),
        pytest.param(lambda y: y.pop("score"), "score", id="missing group"),
        pytest.param(lambda y: y["score"]["fields"].append("colour"), "fields.4", id="field"),
        pytest.param(lambda y: y["score"]["fields"].pop(), "model_version", id="missing field"),
        pytest.param(
            lambda y: y["policy"]["fields"].append("amount"), "amount", id="field in two groups"
        ),
        pytest.param(lambda y: y["policy"].update(sources=["RUMOUR"]), "RUMOUR", id="source"),
        pytest.param(
            lambda y: y["policy"]["then"].insert(0, {"mood": "highest"}), "then.0", id="key"
        ),
        pytest.param(
            lambda y: y["policy"]["then"].insert(0, {"sequence": "best"}), "best", id="direction"
        ),
        pytest.param(lambda y: y["policy"]["then"].pop(), "identity", id="order is not total"),
        pytest.param(
            lambda y: y["transaction_status"].update(classes={"transaction_status": [["MAYBE"]]}),
            "MAYBE",
            id="status",
        ),
        pytest.param(lambda y: y["policy"].update(each="yes"), "policy.each", id="option"),
    ],
)
def test_a_name_that_nobody_knows_is_refused(tmp_path: Path, change: Change, named: str) -> None:
    content = yaml.safe_load(PRECEDENCE_FILE.read_text(encoding="utf-8"))
    change(content)
    wrong = tmp_path / "precedence.yaml"
    wrong.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ContractError, match=named) as refused:
        load_precedence(wrong)
    assert str(wrong) in str(refused.value)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_precedence(tmp_path / "precedence.yaml")
