"""A server that answers as S3 does, and what Spark is told to reach it by Hadoop's own S3A."""

from __future__ import annotations

from typing import Any

import yaml

from lakehouse.local.jars import files_for
from tests.conftest import LOCAL
from tests.moto_server import moto_server as s3_server

__all__ = ["local_without_files", "s3_server", "s3a_settings"]


def s3a_settings(endpoint: str) -> dict[str, str]:
    """`spark.settings` of a process that finds `s3a://` there."""
    return {
        "spark.driver.extraClassPath": ":".join(map(str, files_for("s3"))),
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
    }


def local_without_files(endpoint: str) -> dict[str, Any]:
    """The local configuration, to be written anywhere, with figures and alerts in that server.

    A lake that is no folder has no file for them.
    """
    values: dict[str, Any] = yaml.safe_load(LOCAL.read_text())
    values["rules"] = {name: str(LOCAL.parent / file) for name, file in values["rules"].items()}
    values["metrics"]["to"] = {
        "store": "cloudwatch", "namespace": "Lakehouse", "dimensions": {},
        "region": "us-east-1", "endpoint_url": endpoint,
    }  # fmt: skip
    values["alerts"] |= {"store": "dynamodb", "table": "alerts"}
    return values
