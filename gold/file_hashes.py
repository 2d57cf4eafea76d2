"""SHA-256 of Gold's data files, from wherever they lie: a folder, or S3."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from py4j.protocol import Py4JJavaError

from lakehouse.context import Lakehouse
from lakehouse.delta import path_of
from lakehouse.files import hadoop_path
from lakehouse.tables import GOLD_TRANSACTIONS

_AT_ONCE = 8
_NOT_FOUND = "java.io.FileNotFoundException"


def hashes_of(lake: Lakehouse, paths: Iterable[str]) -> dict[str, str | None]:
    """The hash of each data file of Gold by its path in Delta's log; None: it is not there.

    Each is read as a stream, several at once: memory does not grow with the file.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        wanted = list(paths)
        return dict(zip(wanted, pool.map(lambda path: _hash_of(lake, path), wanted), strict=True))


def _hash_of(lake: Lakehouse, path: str) -> str | None:
    # the log writes a path as part of an address
    place = f"{path_of(lake.config, GOLD_TRANSACTIONS)}/{unquote(path)}"
    file, files = hadoop_path(lake.spark, place)
    try:
        if files.getScheme() == "file":
            # Hadoop's own reader refuses a changed byte by its checksum, where we want to name it
            return _of_local(Path(file.toUri().getPath()))
        return _of_stream(lake, files.open(file))
    except FileNotFoundError:
        return None
    except Py4JJavaError as fault:
        if fault.java_exception.getClass().getName() == _NOT_FOUND:
            return None
        raise


def _of_local(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _of_stream(lake: Lakehouse, stream: Any) -> str:
    jvm: Any = lake.spark.sparkContext._jvm
    try:
        return str(jvm.org.apache.commons.codec.digest.DigestUtils.sha256Hex(stream))
    finally:
        stream.close()
