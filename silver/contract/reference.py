"""Reference data: policies, and exchange rates."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from lakehouse.quality import RowRule
from silver.contract import columns
from silver.contract.assemble import Contract, assembled
from silver.contract.currencies import CURRENCIES

_WHOLE = "^[0-9]{1,13}$"
_POSITIVE = "^[1-9][0-9]{0,12}$"


def parsed_policies(rows: DataFrame) -> DataFrame:
    """One row per row of `rows`: a policy as of its `effective_date` (an instant or a day, UTC).

    `policy_data` must name a rule that is known, with parameters of the right kind.
    """
    return assembled(rows, _policy_contract())


def parsed_fx_rates(rows: DataFrame, *, latest: Column) -> DataFrame:
    """One row per row of `rows`: units of `currency` per unit of `base` on one day."""
    return assembled(rows, _rate_contract(), latest)


@cache
def _policy_contract() -> Contract:
    data = columns.json_object("policy_data", required=True)
    fields = F.col("_policy_data")
    unusable = RowRule(
        "policy_data_malformed",
        "policy_data names no known rule, or a parameter is missing or of the wrong kind",
        fields.isNotNull() & ~F.coalesce(_is_usable(fields), F.lit(False)),
    )
    return Contract.of(
        [
            columns.text("policy_id", required=True),
            columns.text("policy_name", required=True),
            data,
            columns.instant("effective_date", bounded=False, or_day=True),
        ],
        [unusable],
    )


@cache
def _rate_contract() -> Contract:
    return Contract.of(
        [
            columns.day("rate_date", required=True),
            columns.code("base", CURRENCIES, "base"),
            columns.code("currency", CURRENCIES, "currency"),
            columns.rate("rate"),
        ]
    )


def _is_usable(data: Column) -> Column:
    rule = F.element_at(data, "rule")
    usable = F.lit(False)
    for name, parameters in _parameters(data).items():
        usable = usable | ((rule == name) & parameters)
    return usable


def _parameters(data: Column) -> Mapping[str, Column]:
    """What each rule needs of its parameters."""

    def value(name: str) -> Column:
        return F.element_at(data, name)

    def codes(name: str) -> Column:
        """Texts of a list; null if it is absent or no list of texts."""
        listed = F.from_json(value(name), "array<string>")
        texts = F.size(F.filter(listed, lambda code: code.isNull() | code.rlike(r"^[\[{]"))) == 0
        return F.when(value(name).rlike(r"^\[.*\]$") & texts, listed)

    def some(name: str) -> Column:
        return F.size(codes(name)) > 0

    def none_or_list(name: str) -> Column:
        return value(name).isNull() | codes(name).isNotNull()

    places = F.coalesce(some("countries"), F.lit(False)) | F.coalesce(some("regions"), F.lit(False))
    in_currency = value("currency").isin(list(CURRENCIES))
    amount_in_currency = in_currency & value("max_amount").rlike(_WHOLE)
    none_or_count = value("max_count").isNull() | value("max_count").rlike(_WHOLE)
    no_amount = value("max_amount").isNull()
    limits = F.when(no_amount, value("max_count").rlike(_WHOLE)).otherwise(
        amount_in_currency & none_or_count
    )
    return {
        "velocity_limit": limits & value("window_seconds").rlike(_POSITIVE),
        "geo_block": none_or_list("countries") & none_or_list("regions") & places,
        "amount_limit": amount_in_currency,
        "currency_block": some("currencies"),
        "merchant_block": some("merchants"),
    }
