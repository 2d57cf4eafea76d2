"""Regions: a dozen groups of countries, so that a day has few partitions."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError
from pyspark.sql import Column
from pyspark.sql import functions as F

from lakehouse.config import Settings, problems_of, read_yaml
from lakehouse.errors import ConfigError, ContractError

MOST_REGIONS = 12
RegionName = Annotated[str, Field(pattern="^[A-Z][A-Z0-9_]*$")]
CountryCode = Annotated[str, Field(pattern="^[A-Z]{2}$")]


class Regions(Settings):
    """All that conf/regions.yaml says; countries are ISO 3166-1 alpha-2 codes."""

    default: RegionName
    regions: dict[RegionName, tuple[CountryCode, ...]]


def load_regions(path: Path | str) -> Regions:
    """Read and check conf/regions.yaml.

    Raises:
        ConfigError: the file is absent or not YAML, a key is unknown, a value is wrong.
        ContractError: a country stands in two regions, or there are too many regions.
    """
    try:
        regions = Regions(**read_yaml(path))
    except ValidationError as error:
        raise ConfigError(path, problems_of(error)) from None
    found = len({regions.default, *regions.regions})
    if found > MOST_REGIONS:
        raise ContractError(f"{path}: regions: expected at most {MOST_REGIONS}, got {found}")
    placed: dict[str, str] = {}
    for region, countries in regions.regions.items():
        for country in countries:
            if country in placed:
                raise ContractError(
                    f"{path}: regions.{region}: expected each country once, "
                    f"{country} stands in {placed[country]} too"
                )
            placed[country] = region
    return regions


def region_of(country: Column, regions: Regions) -> Column:
    """The region of a country, the default where it stands in none; null stays null."""
    pairs = [
        f"{country}:{region}"
        for region, countries in regions.regions.items()
        for country in countries
    ]
    # folded into one literal map when the plan is made
    table = F.str_to_map(F.lit(",".join(pairs)), F.lit(","), F.lit(":"))
    listed = F.coalesce(F.element_at(table, country), F.lit(regions.default))
    return F.when(country.isNotNull(), listed)
