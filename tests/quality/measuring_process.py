"""A process that measures one frame by Deequ and ends: what it had open, it says."""

from __future__ import annotations

import json
from typing import Any

from lakehouse.config import Config
from lakehouse.quality.deequ import measured_by_deequ
from lakehouse.quality.measures import Compliance, Measure, OfColumns, Size
from lakehouse.session import open_session
from tests.conftest import LOCAL


def main() -> None:
    """Measure, and leave without stopping anything by hand."""
    spark = open_session(Config.load(LOCAL), "measuring")
    measures: list[Measure] = [
        Size(kind="size"),
        OfColumns(kind="uniqueness", columns=("id",)),
        Compliance(kind="compliance", predicate="id < 5"),
    ]
    found = measured_by_deequ(spark.range(10).toDF("id"), measures)
    gateway: Any = spark.sparkContext._gateway
    said = {
        "values": [found.values[measure] for measure in measures],
        "java_port": gateway.gateway_parameters.port,
        "has_callback_server": gateway.get_callback_server() is not None,
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
