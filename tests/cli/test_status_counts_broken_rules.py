"""What should not have happened is counted, rule by rule."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import SparkSession

from lakehouse.cli.broken_rules import BrokenRule, broken_rules
from lakehouse.config import Config
from lakehouse.context import Lakehouse
from lakehouse.fold.rules import ExceptionRule
from lakehouse.fold.transitions import load_transitions
from lakehouse.tables import GOLD_TRANSACTIONS
from tests.gold.rows import a_gold_row, append


def test_transactions_are_counted_by_the_rule_that_they_break(
    lake_for: Callable[[str], Lakehouse], spark: SparkSession, config: Config
) -> None:
    assert broken_rules(spark, config) == [], "an empty lake breaks no rule"
    append(
        lake_for("consolidate"),
        GOLD_TRANSACTIONS,
        a_gold_row("sound"),
        a_gold_row("one", exceptions=["MONEY_ON_DECLINED"]),
        a_gold_row("old", exceptions=["RULE_OF_BEFORE"]),
        a_gold_row("both", exceptions=["CURRENCY_MISMATCH", "MONEY_ON_DECLINED"]),
    )
    sentences = load_transitions(config.rules.transitions).sentences
    assert broken_rules(spark, config) == [
        BrokenRule("CURRENCY_MISMATCH", sentences[ExceptionRule.CURRENCY_MISMATCH], 1),
        BrokenRule("MONEY_ON_DECLINED", sentences[ExceptionRule.MONEY_ON_DECLINED], 2),
        BrokenRule("RULE_OF_BEFORE", "", 1),
    ]
