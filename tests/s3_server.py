"""A server that answers as S3 does, and what Spark is told to reach it by Hadoop's own S3A."""

from __future__ import annotations

from typing import Any

from lakehouse.local.jars import files_for
from tests.moto_server import moto_server as s3_server

__all__ = ["nothing_in_files", "s3_server", "s3a_settings"]


def s3a_settings(endpoint: str) -> dict[str, str]:
    """`spark.settings` of a process that finds `s3a://` there."""
    return {
        "spark.driver.extraClassPath": ":".join(map(str, files_for("s3"))),
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
    }


def nothing_in_files(endpoint: str) -> dict[str, dict[str, Any]]:
    """What `metrics` and `alerts` of a local config are where the lake is no folder."""
    to = {
        "store": "cloudwatch", "namespace": "Lakehouse", "dimensions": {},
        "region": "us-east-1", "endpoint_url": endpoint,
    }  # fmt: skip
    return {"metrics": {"to": to}, "alerts": {"store": "dynamodb", "table": "alerts"}}
