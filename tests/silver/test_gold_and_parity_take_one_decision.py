"""Of a payment's decisions, Gold, the Live Index and the comparison of both paths take one."""

from __future__ import annotations

from lakehouse.config import Config, read_yaml
from silver.live import FIRST_DECIDED
from tests.conftest import LOCAL


def test_the_first_decision_is_golds() -> None:
    order = read_yaml(Config.load(LOCAL).rules.precedence)["decision"]["then"]
    # the identity of an event is its event_id
    column_of = {"decision.decided_at": "decided_at", "identity": "event_id"}
    assert order == [{name: "lowest"} for name in column_of]
    assert tuple(column_of.values()) == FIRST_DECIDED
