"""From the fields of a contract to a frame: values, refusals, what is unknown, and the hash."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, zip_longest
from typing import Self

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import RowRule, violations_of
from silver.contract.columns import LATEST, Parsed, sorted_entries
from silver.contract.fields import repeated_fields

_ESCAPED = r'["\\\x00-\x1f]'


@dataclass(frozen=True)
class Contract:
    """How one kind of input is read, as Spark columns.

    To build them takes longer than to use them: each contract is built once per process. Columns
    are immutable, and belong to no session.
    """

    prepared: Sequence[dict[str, Column]]  # step after step: see Parsed
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
        fields, is_repeated = F.col("fields"), F.col("_is_repeated")
        rules = [
            RowRule("payload_not_object", "the record is not one JSON object, or not a row as its "
                    "header says", fields.isNull()),
            RowRule("field_repeated", "a field occurs twice", is_repeated),
            *(rule for column in columns for rule in column.rules),
            *further_rules,
        ]  # fmt: skip
        names = [column.name for column in columns]
        extra = _unknown(fields, names)
        content = {column.name: column.hashed for column in columns}
        content["extra"] = sorted_entries(F.col("extra"))
        steps = zip_longest(
            *[column.prepared for column in columns],
            [{"_is_usual": _is_usual(fields, names)}, {"_is_repeated": _is_repeated(fields)}],
            fillvalue={},
        )
        return cls(
            prepared=[dict(chain.from_iterable(part.items() for part in step)) for step in steps],
            values={column.name: column.value for column in columns}
            | {"extra": extra, "violations": violations_of(rules)},
            derived={"content_hash": F.sha2(json_of_texts(content), 256)} | derived,
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
    steps = (bound, *contract.prepared)
    return (
        reduce(DataFrame.withColumns, steps, rows)
        .withColumns(contract.values)
        .withColumns(contract.derived | derived)
        .drop(*[name for step in steps for name in step])
    )


def json_of_texts(texts: Mapping[str, Column]) -> Column:
    """What `to_json` makes of a struct of texts, whose names are plain; nulls are left out."""
    entries = [F.concat(F.lit(f'"{name}":"'), text, F.lit('"')) for name, text in texts.items()]
    plain = F.concat(F.lit("{"), F.concat_ws(",", *entries), F.lit("}"))
    written = F.to_json(F.struct(*[text.alias(name) for name, text in texts.items()]))
    # nearly every text can stand in JSON as it is, and to ask takes a fraction of the time
    is_escaped = F.concat_ws("", *texts.values()).rlike(_ESCAPED)
    return F.when(is_escaped, written).otherwise(plain)


def _unknown(fields: Column, names: Sequence[str]) -> Column:
    unknown = F.map_filter(fields, lambda name, value: ~name.isin(list(names)) & value.isNotNull())
    nothing = F.create_map().cast("map<string,string>")
    # nearly every row has none, and to look at each field costs more than to compare all names
    has_none = F.size(F.array_except(F.map_keys(fields), F.array(*map(F.lit, names)))) == 0
    is_read = ~F.col("_is_repeated")
    is_usual = F.coalesce("_is_usual", F.lit(True))
    return F.when(is_usual, nothing).when(is_read & ~has_none, unknown).otherwise(nothing)


def _is_usual(fields: Column, names: Sequence[str]) -> Column:
    """Whether a record has the contract's fields, all of them, in order: nearly every one has.

    Each is then there once, and none is unknown; to see that takes one comparison.
    """
    return F.map_keys(fields) == F.array(*map(F.lit, names))


def _is_repeated(fields: Column) -> Column:
    return F.when(F.col("_is_usual"), F.lit(False)).otherwise(repeated_fields(fields))
