"""How many transactions of Gold break each rule of conf/transitions.yaml."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from lakehouse.cli.questions import existing_tables, name_tables
from lakehouse.config import Config
from lakehouse.fold.transitions import load_transitions
from lakehouse.tables import GOLD_TRANSACTIONS

_VIEW = "gold.exceptions"


@dataclass(frozen=True)
class BrokenRule:
    """A rule, and how many transactions break it as they stand now."""

    rule: str
    sentence: str  # of conf/transitions.yaml; of a rule that it has no longer, empty
    transactions: int


def broken_rules(spark: SparkSession, config: Config) -> list[BrokenRule]:
    """Count them by rule, in the order of their ids; a rule that nothing breaks is absent."""
    if GOLD_TRANSACTIONS not in existing_tables(spark, config):
        return []
    name_tables(spark, config, [_VIEW])
    counts = spark.table(_VIEW).groupBy("rule_id").agg(F.count("*").alias("transactions"))
    sentences = load_transitions(config.rules.transitions).sentences
    said = {str(rule): sentence for rule, sentence in sentences.items()}
    return [
        BrokenRule(row.rule_id, said.get(row.rule_id, ""), row.transactions)
        for row in counts.orderBy("rule_id").collect()
    ]
