"""Files by Hadoop's file systems: a folder and S3 alike, with what the session knows of them."""

from __future__ import annotations

from contextlib import closing
from functools import cache
from typing import Any

from pyspark.sql import SparkSession


def hadoop_path(spark: SparkSession, place: str) -> tuple[Any, Any]:
    """A path, and the file system of this session that it is in: local, or S3 with credentials."""
    context: Any = spark.sparkContext
    path = _path_class(context._jvm)(place)
    return path, path.getFileSystem(context._jsc.hadoopConfiguration())


def first_line(spark: SparkSession, place: str) -> str:
    """The first line of a text file, in UTF-8; nothing of an empty one."""
    buffered, reading = _reader_classes(spark.sparkContext._jvm)
    path, files = hadoop_path(spark, place)
    with closing(buffered(reading(files.open(path), "UTF-8"))) as lines:
        return str(lines.readLine() or "")


def bytes_of(spark: SparkSession, place: str, most: int | None = None) -> bytes | None:
    """The bytes of a file, or so many of its first ones; None where no file lies."""
    path, files = hadoop_path(spark, place)
    if not files.exists(path):
        return None
    jvm: Any = spark.sparkContext._jvm
    io = jvm.org.apache.commons.io
    with closing(files.open(path)) as stream:
        wanted = stream if most is None else io.input.BoundedInputStream(stream, most)
        return bytes(io.IOUtils.toByteArray(wanted))


@cache
def _path_class(jvm: Any) -> Any:
    """Found once: each part of the name is a search through all jars."""
    return jvm.org.apache.hadoop.fs.Path


@cache
def _reader_classes(jvm: Any) -> tuple[Any, Any]:
    java = jvm.java.io
    return java.BufferedReader, java.InputStreamReader
