"""From the fields of a contract to a frame: values, refusals, what is unknown, and the hash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import RowRule, violations_of
from silver.contract.columns import LATEST, Parsed, sorted_entries
from silver.contract.fields import repeated_fields


@dataclass(frozen=True)
class Contract:
    """How one kind of input is read, as Spark columns.

    To build them takes longer than to use them: each contract is built once per process. Columns
    are immutable, and belong to no session.
    """

    prepared: dict[str, Column]
    values: dict[str, Column]  # the typed columns, `extra` and `violations`
    derived: dict[str, Column]  # `content_hash`, and what follows from the typed columns

    @classmethod
    def of(
        cls,
        columns: Sequence[Parsed],
        further_rules: Sequence[RowRule] = (),
        **derived: Column,
    ) -> Self:
        """Build the contract; `derived` may refer to the typed columns."""
        fields = F.col("fields")
        rules = [
            RowRule("payload_not_object", "the record is not one JSON object, or not a row as its "
                    "header says", fields.isNull()),
            RowRule("field_repeated", "a field occurs twice", repeated_fields(fields)),
            *(rule for column in columns for rule in column.rules),
            *further_rules,
        ]  # fmt: skip
        extra = _unknown(fields, [column.name for column in columns])
        content = [column.hashed.alias(column.name) for column in columns]
        content.append(sorted_entries(F.col("extra")).alias("extra"))
        return cls(
            prepared={
                name: prepared for column in columns for name, prepared in column.prepared.items()
            },
            values={column.name: column.value for column in columns}
            | {"extra": extra, "violations": violations_of(rules)},
            derived={"content_hash": F.sha2(F.to_json(F.struct(*content)), 256)} | derived,
        )


def assembled(
    rows: DataFrame, contract: Contract, latest: Column | None = None, **derived: Column
) -> DataFrame:
    """Add the contract's columns, and further `derived` ones; all other columns stay.

    A column of `rows` that has the name of a contract field (Kafka's `timestamp`) is replaced:
    rename it before. All values and rules see the row as it was before. `latest` is the newest
    plausible event time; only a contract without an instant to bound can do without.
    """
    bound = {} if latest is None else {LATEST: latest}
    return (
        rows.withColumns(bound | contract.prepared)
        .withColumns(contract.values)
        .withColumns(contract.derived | derived)
        .drop(*bound, *contract.prepared)
    )


def _unknown(fields: Column, names: Sequence[str]) -> Column:
    unknown = F.map_filter(fields, lambda name, value: ~name.isin(list(names)) & value.isNotNull())
    nothing = F.create_map().cast("map<string,string>")
    # nearly every row has none, and to look at each field costs more than to compare all names
    has_none = F.size(F.array_except(F.map_keys(fields), F.array(*map(F.lit, names)))) == 0
    is_unread = fields.isNull() | repeated_fields(fields)
    return F.when(is_unread | has_none, nothing).otherwise(unknown)
