"""A server that answers as S3 does, and what Spark is told to reach it by Hadoop's own S3A."""

from __future__ import annotations

from lakehouse.local.jars import files_for
from tests.moto_server import moto_server as s3_server

__all__ = ["s3_server", "s3a_settings"]


def s3a_settings(endpoint: str) -> dict[str, str]:
    """`spark.settings` of a process that finds `s3a://` there."""
    return {
        "spark.driver.extraClassPath": ":".join(map(str, files_for("s3"))),
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
    }
