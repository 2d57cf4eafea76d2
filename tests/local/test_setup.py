"""The virtual environment's Spark has what the cloud's has, from its own folder alone."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from lakehouse.local.class_archive import is_fresh, make
from lakehouse.local.java import Java, recall
from lakehouse.local.setup import CLASS_ARCHIVE
from lakehouse.local.spark_home import prepare, spark_home


def a_spark(folder: Path) -> Path:
    """Make a folder with a spark-submit that shows what it was given."""
    (folder / "jars").mkdir(parents=True)
    (folder / "bin").mkdir()
    submit = folder / "bin" / "spark-submit"
    submit.write_text(
        '#!/bin/sh\n. "$SPARK_HOME/conf/spark-env.sh"\n'
        'echo "$JAVA_HOME" "$@"\necho "$SPARK_SUBMIT_OPTS"\n'
    )
    submit.chmod(0o755)
    return folder


def a_jar(folder: Path, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).touch()
    return folder / name


def test_spark_submit_knows_its_java_without_any_environment(tmp_path: Path) -> None:
    home, commands = a_spark(tmp_path / "spark"), tmp_path / "bin"
    commands.mkdir()
    archive = tmp_path / "a cache" / "classes.jsa"
    prepare(home, Java(tmp_path / "a java", "PATH"), [], commands, archive)
    shown = subprocess.run(
        [commands / "spark-submit", "job.py", "--trigger"],
        env={"PATH": "/usr/bin:/bin", "SPARK_HOME": "/elsewhere", "SPARK_SUBMIT_OPTS": "-Xint"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert shown[0] == f"{tmp_path / 'a java'} job.py --trigger"
    # as Spark's launcher reads it
    options = shlex.split(shown[1])
    assert f"-XX:SharedArchiveFile={archive}" in options
    assert options[-1] == "-Xint"
    assert f"PYSPARK_PYTHON={sys.executable}" in (home / "conf" / "spark-env.sh").read_text()


def test_a_second_setup_changes_nothing(tmp_path: Path) -> None:
    home, jar = a_spark(tmp_path / "spark"), a_jar(tmp_path / "cache", "delta-1.jar")
    java = Java(tmp_path, "PATH")
    assert prepare(home, java, [jar], tmp_path, tmp_path / "classes.jsa")
    assert not prepare(home, java, [jar], tmp_path, tmp_path / "classes.jsa")


def test_a_newer_lock_leaves_no_older_jar_behind(tmp_path: Path) -> None:
    home, java = a_spark(tmp_path / "spark"), Java(tmp_path, "PATH")
    own = a_jar(home / "jars", "spark-core.jar")
    older, newer = (a_jar(tmp_path / "cache", f"delta-{version}.jar") for version in (1, 2))
    prepare(home, java, [older], tmp_path, tmp_path / "classes.jsa")
    prepare(home, java, [newer], tmp_path, tmp_path / "classes.jsa")
    assert {file.name for file in (home / "jars").iterdir()} == {own.name, newer.name}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="Linux shows what is mapped")
def test_spark_starts_from_archived_classes(spark: SparkSession) -> None:
    assert is_fresh(CLASS_ARCHIVE, recall(), spark_home())
    assert CLASS_ARCHIVE.is_file()
    jvm: Any = spark.sparkContext._jvm
    process = jvm.java.lang.ProcessHandle.current().pid()
    assert str(CLASS_ARCHIVE.resolve()) in Path(f"/proc/{process}/maps").read_text()


def a_submit(file: Path, exit_code: int) -> Path:
    """Make a spark-submit that leaves an archive, as Java does at any exit."""
    file.write_text(
        "#!/bin/sh\n"
        'archive="${SPARK_SUBMIT_OPTS##*ArchiveClassesAtExit=}"\n'
        f'touch "${{archive%?}}"\nexit {exit_code}\n'
    )
    file.chmod(0o755)
    return file


def test_another_jar_makes_the_archived_classes_stale(tmp_path: Path) -> None:
    home, java = a_spark(tmp_path / "spark"), Java(tmp_path, "PATH")
    archive = tmp_path / "classes.jsa"
    assert make(archive, java, home, a_submit(tmp_path / "submit", 0), tmp_path)
    assert is_fresh(archive, java, home)
    a_jar(home / "jars", "delta-2.jar")
    assert not is_fresh(archive, java, home)


def test_half_a_workload_is_no_archive_and_is_tried_again(tmp_path: Path) -> None:
    home, java = a_spark(tmp_path / "spark"), Java(tmp_path, "PATH")
    archive = tmp_path / "classes.jsa"
    make(archive, java, home, a_submit(tmp_path / "submit", 0), tmp_path)
    assert not make(archive, java, home, a_submit(tmp_path / "submit", 1), tmp_path)
    assert not archive.exists()
    assert not is_fresh(archive, java, home)
