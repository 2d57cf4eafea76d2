"""From the fields of a contract to a frame: values, refusals, what is unknown, and the hash."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import RowRule, violations_of
from silver.contract.columns import Parsed, sorted_entries
from silver.contract.fields import repeated_fields


def assembled(
    rows: DataFrame, columns: Sequence[Parsed], further_rules: Sequence[RowRule] = ()
) -> DataFrame:
    """Add the typed columns, `extra`, `violations` and `content_hash`; all other columns stay.

    A column of `rows` that has the name of a contract field (Kafka's `timestamp`) is replaced:
    rename it before. All values and rules see the row as it was before.
    """
    names = [column.name for column in columns]
    fields = F.col("fields")
    # of something that is no object at all, the missing fields are no news
    is_object = fields.isNotNull()
    rules = [
        RowRule("payload_not_object", "the record is not one JSON object, or not a row as its "
                "header says", ~is_object),
        RowRule("field_repeated", "a field occurs twice", repeated_fields(fields)),
        *(
            RowRule(rule.id, rule.message, is_object & rule.broken)
            for rule in (*(rule for column in columns for rule in column.rules), *further_rules)
        ),
    ]  # fmt: skip
    parsed = rows.withColumns(
        {column.name: column.value for column in columns}
        | {"extra": _unknown(fields, names), "violations": violations_of(rules)}
    )
    content = [column.hashed.alias(column.name) for column in columns]
    extra = sorted_entries(F.col("extra")).alias("extra")
    return parsed.withColumn("content_hash", F.sha2(F.to_json(F.struct(*content, extra)), 256))


def _unknown(fields: Column, names: Sequence[str]) -> Column:
    unknown = F.map_filter(fields, lambda name, value: ~name.isin(list(names)) & value.isNotNull())
    nothing = F.create_map().cast("map<string,string>")
    return F.when(fields.isNull() | repeated_fields(fields), nothing).otherwise(unknown)
