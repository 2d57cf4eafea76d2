"""What `make package` packs, at another place: all that it runs is its own, but for Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from deltalake import DeltaTable

from requirements.package import (
    OF_THE_CLUSTER,
    RUNTIME,
    build_wheel,
    library_name,
    make_environment,
    without,
)
from tests.bronze.landing_folder import csv, deliver
from tests.conftest import ROOT

BARE = {name: os.environ[name] for name in ("PATH", "HOME", "JAVA_HOME") if name in os.environ}
"""Nothing of this process: neither its packages nor its settings."""
WHERE = """
import json, sys
import boto3, confluent_kafka, lakehouse, numpy, pandas, pydantic_core, pyarrow, bronze
found = [each.__file__ for each in (
    boto3, confluent_kafka, lakehouse, numpy, pandas, pydantic_core, pyarrow, bronze, json)]
print(json.dumps({"files": found, "path": sys.path, "prefix": sys.prefix}))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the archive holds, of the locked packages and the wheel, where a worker unpacks it."""
    made = tmp_path_factory.mktemp("made")
    make_environment(made / "environment", build_wheel(made))
    # to pack 500 MB and unpack them takes longer than all tests: moved, it is as much elsewhere
    return (made / "environment").rename(tmp_path_factory.mktemp("worker") / "environment")


def _ran(*command: str | Path, at: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*command], cwd=at, env=BARE | settings, check=False, capture_output=True, text=True,
        timeout=150,
    )  # fmt: skip


def _settings(folder: Path) -> dict[str, str]:
    return {
        "LAKEHOUSE__LAKE__ROOT": str(folder / "lake"),
        "LAKEHOUSE__LAKE__LANDING": str(folder / "landing"),
        "LAKEHOUSE__LEASE__LOCATION": str(folder / "leases"),
        "LAKEHOUSE__CARDS__TOKEN_KEY": f"generated-file:{folder / 'key'}",
    }


def test_all_that_it_imports_lies_in_it(environment: Path, tmp_path: Path) -> None:
    told = _ran(environment / "bin" / "python", "-c", WHERE, at=tmp_path)
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["prefix"] == str(environment)
    places = [each for each in (*found["files"], *found["path"]) if each]
    assert not [each for each in places if not each.startswith(str(environment))]
    # the cluster's own: another one beside it would be loaded first
    lacks = _ran(environment / "bin" / "python", "-c", "import pyspark", at=tmp_path)
    assert "No module named 'pyspark'" in lacks.stderr


@pytest.mark.skipif(not sysconfig.get_config_var("Py_ENABLE_SHARED"), reason="is in no library")
def test_its_interpreter_is_the_one_that_it_carries(environment: Path, tmp_path: Path) -> None:
    maps = "print(open('/proc/self/maps').read())"
    told = _ran(environment / "bin" / "python", "-c", maps, at=tmp_path)
    loaded = {line.split()[-1] for line in told.stdout.splitlines() if "libpython" in line}
    assert {Path(each).parent for each in loaded} == {environment / "lib"}
    assert (environment / "bin" / library_name()).is_file()


def test_its_command_line_judges_alerts_without_spark_from_wherever_it_is_called(
    environment: Path, tmp_path: Path
) -> None:
    link = tmp_path / "lakehouse"
    link.symlink_to(environment / "bin" / "lakehouse")
    words = ("alerts", "check", "--config", environment / "share/lakehouse/conf/local.yaml")
    told = _ran(link, *words, at=tmp_path, **_settings(tmp_path))
    assert (told.returncode, told.stdout.strip()) == (0, "nothing new"), told.stderr
    # what the machines of deploy/ run beside it
    for command in (("topics", "create"), ("topics", "send"), ("lookup",)):
        assert _ran(link, *command, "--help", at=tmp_path).returncode == 0
    scripts = [each.name for each in (environment / "bin").iterdir() if each.name[:6] != "python"]
    assert scripts == ["lakehouse"], "others would name an interpreter that is not there"


def test_a_layer_runs_by_spark_submit(environment: Path, tmp_path: Path) -> None:
    # what is submitted says whose code it ran: this machine has the project a second time
    tell = (
        "import boto3, lakehouse, pyspark, delta; open({!r}, 'w').write("
        "'\\n'.join(each.__file__ for each in (boto3, lakehouse, delta, pyspark)))"
    ).format(str(tmp_path / "ran"))
    entry = (ROOT / "deploy" / "run_job.py").read_text()
    (tmp_path / "run_job.py").write_text(entry.replace("import sys\n", f"import sys\n\n{tell}\n"))
    python, landing = environment / "bin" / "python", tmp_path / "landing"
    deliver(str(landing), "part-1.csv", csv("e1,10,EUR,a", "e2,20,EUR,b"))
    config = environment / "share" / "lakehouse" / "conf" / "local.yaml"
    run = _ran(
        Path(sys.executable).parent / "spark-submit",
        *(f"--conf=spark.pyspark.{whose}={python}" for whose in ("python", "driver.python")),
        tmp_path / "run_job.py", "load_drops", "--config", config, "--trigger", "once",
        at=tmp_path, **_settings(tmp_path),
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-1000:] + run.stderr[-1000:]
    *ours, spark = (tmp_path / "ran").read_text().splitlines()
    assert all(each.startswith(str(environment)) for each in ours)
    assert not spark.startswith(str(environment))
    rows = DeltaTable(
        tmp_path / "lake" / "tables" / "bronze" / "drops_money_events"
    ).to_pyarrow_table()
    assert rows.num_rows == 2


def test_who_submits_no_job_is_asked_for_one(tmp_path: Path) -> None:
    nameless = _ran(sys.executable, ROOT / "deploy" / "run_job.py", at=tmp_path)
    assert nameless.returncode and "which job?" in nameless.stderr


def test_the_environment_leaves_to_the_cluster_what_is_the_clusters() -> None:
    locked = RUNTIME.read_text()
    kept = without(locked, OF_THE_CLUSTER)
    assert "\npyspark==" in locked and "pyspark==" not in kept and "py4j==" not in kept
    assert kept.count("--hash=") > 100 and "\nboto3==" in kept
