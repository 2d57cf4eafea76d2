"""A server that answers as S3 does, and what Spark is told to reach it by Hadoop's own S3A."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from moto.moto_api._internal.models import moto_api_backend
from moto.server import ThreadedMotoServer

from lakehouse.local.jars import files_for


@contextmanager
def s3_server() -> Iterator[str]:
    """Its address on loopback, while the block runs."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    # all servers of one process answer from one memory: what an earlier test put there goes
    moto_api_backend.reset()
    _, port = server.get_host_and_port()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()


def s3a_settings(endpoint: str) -> dict[str, str]:
    """`spark.settings` of a process that finds `s3a://` there."""
    return {
        "spark.driver.extraClassPath": ":".join(map(str, files_for("s3"))),
        "spark.hadoop.fs.s3a.endpoint": endpoint,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.access.key": "test",
        "spark.hadoop.fs.s3a.secret.key": "test",
    }
