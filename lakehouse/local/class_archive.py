"""Spark's classes, read and verified once by set-up instead of at the start of every process.

Java keeps what a run loaded in an archive (class data sharing, JEP 350) and maps it into memory
when it starts again. A job of seconds otherwise spends a fifth of its time on it, and more.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lakehouse.local.jars import ROOT
from lakehouse.local.java import Java

WORKLOAD = Path(__file__).with_name("class_archive_workload.py")
_PATIENCE_SECONDS = 300
_BASE = Path("lib") / "server" / "classes.jsa"


def is_fresh(archive: Path, java: Java, home: Path) -> bool:
    """Whether the workload ran to its end with these classes and this Java.

    A Java that archives nothing has had its chance then.
    """
    key = archive.with_suffix(".key")
    return key.is_file() and key.read_text(encoding="utf-8") == _key(java, home)


def make(archive: Path, java: Java, home: Path, submit: Path, scratch: Path) -> bool:
    """Run the workload with a Spark that archives what it loaded; whether an archive came of it.

    Without one Spark runs as well, only slower: that is no error. `submit` is the spark-submit of
    this environment, `scratch` an empty folder for the workload's tables.
    """
    archive.parent.mkdir(parents=True, exist_ok=True)
    # the key first: an interrupted attempt must not leave one behind
    archive.with_suffix(".key").unlink(missing_ok=True)
    archive.unlink(missing_ok=True)
    if not (java.home / _BASE).is_file():
        # the Java from PyPI brings none of its own classes, and the archive is built upon it
        _attempt([java.executable, "-Xshare:dump"])
    # the last of equal options holds: not the archive that is about to be made
    options = f'"-XX:SharedArchiveFile={java.home / _BASE}" "-XX:ArchiveClassesAtExit={archive}"'
    if not _attempt([submit, WORKLOAD, scratch], {"SPARK_SUBMIT_OPTS": options}):
        # Java archives at any exit: half a workload is tried again, not kept
        archive.unlink(missing_ok=True)
        return False
    archive.with_suffix(".key").write_text(_key(java, home), encoding="utf-8")
    return archive.is_file()


def _attempt(command: Sequence[str | Path], settings: Mapping[str, str] | None = None) -> bool:
    try:
        ran = subprocess.run(
            command,
            cwd=ROOT,
            env=os.environ | (settings or {}),
            capture_output=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0


def _key(java: Java, home: Path) -> str:
    """What Java looks at before it trusts an archive: itself, and each jar's size and time."""
    facts = [str(java.home), str(home), WORKLOAD.read_text(encoding="utf-8")]
    release = java.home / "release"
    facts += [release.read_text(encoding="utf-8")] if release.is_file() else []
    for jar in sorted((home / "jars").iterdir()):
        state = jar.stat()
        facts.append(f"{jar.name} {state.st_size} {state.st_mtime_ns}")
    return hashlib.sha256("\n".join(facts).encode("utf-8")).hexdigest()
