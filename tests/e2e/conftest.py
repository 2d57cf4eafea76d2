"""The tests of this folder share one week, whose jobs ran as processes of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pyspark.sql import SparkSession

from lakehouse.config import Config
from tests.e2e.platform import Platform, deliver, empty_platform


@pytest.fixture(scope="package")
def platform(
    services: Config, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    """A generated week, through every job by spark-submit."""
    with empty_platform(services, spark, tmp_path_factory.mktemp("platform")) as platform:
        deliver(platform, platform.submit)
        yield platform
