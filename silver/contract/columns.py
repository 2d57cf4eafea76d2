"""One field of a contract: its typed value, and the rules that its text can break.

Every reader looks into the column `fields: map<string,string>`. A blank text counts as missing:
its value is null, and of its rules only `<name>_missing` is broken. No text can make a query fail:
each is checked before it is cast.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.quality import RowRule
from lakehouse.texts import instant_of
from silver.contract.fields import json_fields

_HEX = "[0-9a-fA-F]"
_UUID = f"^{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}$"
_DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
# bounded: a cast of 1e-999999999 to a decimal would compute for minutes
_NUMBER = r"^[+-]?[0-9]{1,40}([.][0-9]{1,40})?([eE][+-]?[0-9]{1,3})?$"
# no negative exponent and no endless fraction: rounding must not make an amount whole
_AMOUNT = r"^[+-]?[0-9]{1,40}([.][0-9]{1,18})?([eE][+]?[0-9]{1,3})?$"
_INTEGER = r"^-?[0-9]{1,18}([.]0+)?$"
_AMOUNT_LIMIT = 10**13
EARLIEST = "2000-01-01 00:00:00Z"
EARLIEST_DAY = "1999-01-01"
"""The first rates of the euro are of 1999; a payment is never older."""
LATEST = "_latest"
"""A row's newest plausible event time: no instant and no day may be behind it."""


@dataclass(frozen=True)
class Parsed:
    """One typed column and its rules; `hashed` is its canonical text for the content hash.

    `prepared` are columns that value, rules and hash refer to, and those of a later step to those
    of an earlier one: each is computed once, where Spark would compute it at every mention.
    """

    name: str
    value: Column
    rules: tuple[RowRule, ...]
    hashed: Column
    prepared: Sequence[Mapping[str, Column]] = ()


def _text(name: str) -> Sequence[Mapping[str, Column]]:
    """Steps that prepare the text of a field, trimmed; null if it is absent or blank."""
    trimmed = F.col(f"_trimmed_{name}")
    return (
        {f"_trimmed_{name}": F.trim(F.element_at("fields", name))},
        {f"_text_{name}": F.when(trimmed != "", trimmed)},
    )


def _found(name: str) -> Column:
    """The prepared text of a field."""
    return F.col(f"_text_{name}")


def _has_form(name: str) -> Column:
    """Whether the text has the form that its reader asks for: prepared, for it is asked often."""
    return F.col(f"_has_form_{name}")


def _try_cast(name: str, kind: str) -> Column:
    return F.expr(f"try_cast(_text_{name} AS {kind})")


def _missing(name: str, rule_id: str | None = None) -> RowRule:
    # of something that is no object at all, the missing fields are no news
    is_missing = F.col("fields").isNotNull() & _found(name).isNull()
    return RowRule(rule_id or f"{name}_missing", f"{name} is missing", is_missing)


def _parsed(
    name: str,
    value: Column,
    *rules: RowRule,
    required: bool,
    form: Column | None = None,
    hashed: Column | None = None,
    prepared: Sequence[Mapping[str, Column]] = (),
) -> Parsed:
    """`prepared` are steps behind that of the text; a `form` is the first of them."""
    all_rules = (_missing(name), *rules) if required else rules
    canonical = F.col(name).cast("string") if hashed is None else hashed
    forms = () if form is None else ({f"_has_form_{name}": form},)
    return Parsed(name, value, all_rules, canonical, (*_text(name), *forms, *prepared))


def uuid(name: str) -> Parsed:
    """A UUID in lower case; `<name>_missing`, `<name>_malformed`."""
    readable = _has_form(name)
    malformed = RowRule(f"{name}_malformed", f"{name} is not a UUID", ~readable)
    value = F.when(readable, F.lower(_found(name)))
    return _parsed(name, value, malformed, required=True, form=_found(name).rlike(_UUID))


def text(name: str, *, required: bool) -> Parsed:
    """Any text or number; `<name>_missing`, `<name>_malformed` for an object or a list."""
    found, simple = _found(name), _has_form(name)
    malformed = RowRule(f"{name}_malformed", f"{name} is not a text or a number", ~simple)
    is_nested = found.startswith("[") | found.startswith("{")
    value = F.when(simple, found)
    return _parsed(name, value, malformed, required=required, form=~is_nested)


def code(name: str, codes: type[StrEnum] | Iterable[str], what: str) -> Parsed:
    """One of the codes; `<what>_missing`, `<what>_unknown` (`what` is the rule's short name)."""
    found, known = _found(name), _has_form(name)
    return _parsed(
        name,
        F.when(known, found),
        _missing(name, f"{what}_missing"),
        RowRule(f"{what}_unknown", f"{name} is not a code of the contract", ~known),
        required=False,
        form=found.isin([str(member) for member in codes]),
    )


def pattern(name: str, regex: str, meaning: str) -> Parsed:
    """A text of one form; `<name>_missing`, `<name>_malformed`."""
    found, fits = _found(name), _has_form(name)
    malformed = RowRule(f"{name}_malformed", f"{name} is not {meaning}", ~fits)
    return _parsed(name, F.when(fits, found), malformed, required=True, form=found.rlike(regex))


def integer(name: str) -> Parsed:
    """An optional whole number (BIGINT); `<name>_malformed`."""
    found, readable = _found(name), _has_form(name)
    malformed = RowRule(f"{name}_malformed", f"{name} is not a whole number", ~readable)
    whole = F.substring_index(found, ".", 1).cast("bigint")
    form = found.rlike(_INTEGER)
    return _parsed(name, F.when(readable, whole), malformed, required=False, form=form)


def amount(name: str = "amount") -> Parsed:
    """Whole smallest currency units, DECIMAL(15,2), not negative.

    `_missing`, `_malformed`, `_overflow`, `_negative`, `_not_whole`.
    """
    readable, exact = _has_form(name), F.col(f"_exact_{name}")
    too_great = exact.isNull() | (F.abs(exact) >= F.lit(_AMOUNT_LIMIT))
    negative, broken_unit = exact < 0, exact != F.floor(exact)
    fits = readable & ~too_great & ~negative & ~broken_unit
    return _parsed(
        name,
        F.when(fits, exact.cast("DECIMAL(15,2)")),
        RowRule(f"{name}_malformed", f"{name} is not a number", ~readable),
        RowRule(f"{name}_overflow", f"{name} has more than 13 digits", readable & too_great),
        RowRule(f"{name}_negative", f"{name} is negative", negative),
        RowRule(f"{name}_not_whole", f"{name} is not in whole smallest units", broken_unit),
        required=True,
        form=_found(name).rlike(_AMOUNT),
        prepared=[{f"_exact_{name}": F.when(readable, _try_cast(name, "DECIMAL(38,18)"))}],
    )


def probability(name: str) -> Parsed:
    """DECIMAL(7,6) in 0..1; `_missing`, `_malformed`, `_out_of_range`."""
    found, readable = _found(name), _has_form(name)
    within = F.when(readable, _try_cast(name, "DOUBLE").between(0, 1))
    value = F.when(within, _try_cast(name, "DECIMAL(7,6)"))
    not_number = ~readable & ~_is_not_finite(found)
    return _parsed(
        name,
        value,
        RowRule(f"{name}_malformed", f"{name} is not a number", not_number),
        RowRule(
            f"{name}_out_of_range",
            f"{name} is not between 0 and 1",
            ~within | _is_not_finite(found),
        ),
        required=True,
        form=found.rlike(_NUMBER),
    )


def rate(name: str) -> Parsed:
    """DECIMAL(18,8) above zero; `_missing`, `_malformed`, `_overflow`, `_not_positive`."""
    readable, exact = _has_form(name), F.col(f"_exact_{name}")
    return _parsed(
        name,
        F.when(exact > 0, exact),
        RowRule(f"{name}_malformed", f"{name} is not a number", ~readable),
        RowRule(f"{name}_overflow", f"{name} has too many digits", readable & exact.isNull()),
        RowRule(f"{name}_not_positive", f"{name} is not above zero", exact <= 0),
        required=True,
        form=_found(name).rlike(_NUMBER),
        prepared=[{f"_exact_{name}": F.when(readable, _try_cast(name, "DECIMAL(18,8)"))}],
    )


def instant(name: str, *, bounded: bool = True, or_day: bool = False) -> Parsed:
    """An instant, UTC: ISO-8601 with an offset, or epoch milliseconds; perhaps a day's midnight.

    `_missing`, `_unreadable`, and `_absurd`: before the year 2000, or behind the row's LATEST.
    """
    read = F.col(f"_{name}")
    absurd = read < F.lit(EARLIEST).cast("timestamp")
    if bounded:
        absurd = absurd | (read > F.col(LATEST))
    return _parsed(
        name,
        F.when(~F.coalesce(absurd, F.lit(False)), read),
        RowRule(
            f"{name}_unreadable",
            f"{name} is neither ISO-8601 with an offset nor epoch milliseconds",
            _found(name).isNotNull() & read.isNull(),
        ),
        RowRule(f"{name}_absurd", f"{name} is before 2000 or too far ahead", absurd),
        required=True,
        hashed=F.unix_micros(name).cast("string"),
        prepared=[{f"_{name}": instant_of(_found(name), or_day=or_day)}],
    )


def day(name: str, *, required: bool) -> Parsed:
    """An ISO-8601 date; `_missing`, `_malformed`.

    `_absurd`: before the year 1999, or behind the day of the row's LATEST.
    """
    found, read = _found(name), F.col(f"_{name}")
    absurd = (read < F.lit(EARLIEST_DAY).cast("date")) | (read > F.to_date(LATEST))
    malformed = RowRule(
        f"{name}_malformed",
        f"{name} is not an ISO-8601 date",
        found.isNotNull() & read.isNull(),
    )
    days = F.when(found.rlike(_DATE), _try_cast(name, "DATE"))
    return _parsed(
        name,
        F.when(~F.coalesce(absurd, F.lit(False)), read),
        malformed,
        RowRule(f"{name}_absurd", f"{name} is before 1999 or too far ahead", absurd),
        required=required,
        prepared=[{f"_{name}": days}],
    )


def json_object(name: str, *, required: bool) -> Parsed:
    """The text of a JSON object; `_missing`, `_malformed`. Its fields are prepared as `_<name>`."""
    found, fields = _found(name), F.col(f"_{name}")
    malformed = RowRule(
        f"{name}_malformed",
        f"{name} is not a JSON object",
        found.isNotNull() & fields.isNull(),
    )
    return _parsed(
        name,
        F.when(fields.isNotNull(), found),
        malformed,
        required=required,
        hashed=sorted_entries(fields),
        prepared=[{f"_{name}": json_fields(found)}],
    )


def sorted_entries(fields: Column) -> Column:
    """A map as text, whatever the order of its keys was."""
    text = F.to_json(F.array_sort(F.map_entries(fields)))
    # nearly every row has no unknown field
    return F.when(F.size(fields) == 0, F.lit("[]")).otherwise(text)


def _is_not_finite(found: Column) -> Column:
    return F.lower(found).isin("nan", '"nan"', "infinity", "-infinity", '"infinity"', '"-infinity"')
