"""The wheel in an empty environment, outside the repository, moved, and run by spark-submit."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from deltalake import DeltaTable

from requirements.package import OF_THE_CLUSTER, RUNTIME, build_wheel, make_movable, without
from tests.bronze.landing_folder import csv, deliver
from tests.conftest import ROOT


def test_a_layer_runs_from_the_wheel_alone(tmp_path: Path) -> None:
    wheel = build_wheel(tmp_path / "dist")
    made = tmp_path / "made"
    subprocess.run([sys.executable, "-m", "venv", "--copies", "--without-pip", made], check=True)
    pip: list[str | Path] = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--python",
        made / "bin" / "python",
    ]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", wheel], check=True)
    make_movable(made)
    # an archive is unpacked elsewhere than it was made
    moved = made.rename(tmp_path / "environment")
    # of what is installed here it gets the packages, not the project: nobody reads a .pth's .pth
    packages = moved / "lib" / "python3.11" / "site-packages"
    (packages / "locked.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    # what is submitted says whose code it ran: this machine has the project a second time
    tell = f"import lakehouse; open({str(tmp_path / 'ran')!r}, 'w').write(lakehouse.__file__)"
    entry = (ROOT / "deploy" / "run_job.py").read_text()
    (tmp_path / "run_job.py").write_text(entry.replace("import sys\n", f"import sys\n\n{tell}\n"))
    python = moved / "bin" / "python"
    landing = tmp_path / "landing"
    deliver(str(landing), "part-1.csv", csv("e1,10,EUR,a", "e2,20,EUR,b"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {
        "LAKEHOUSE__LAKE__ROOT": str(tmp_path / "lake"),
        "LAKEHOUSE__LAKE__LANDING": str(landing),
        "LAKEHOUSE__LEASE__LOCATION": str(tmp_path / "leases"),
        "LAKEHOUSE__CARDS__TOKEN_KEY": f"generated-file:{tmp_path / 'key'}",
    }
    where = "import lakehouse, bronze, sys; print(lakehouse.__file__, bronze.__file__, sys.prefix)"
    found = subprocess.run(
        [python, "-c", where],
        cwd=tmp_path,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    assert found.stdout.count(str(moved)) == 3 and str(ROOT / "lakehouse") not in found.stdout
    pythons = (f"--conf=spark.pyspark.{whose}={python}" for whose in ("python", "driver.python"))
    submit: list[str | Path] = [
        Path(sys.executable).parent / "spark-submit", *pythons,
        tmp_path / "run_job.py", "load_drops",
    ]  # fmt: skip
    config = moved / "share" / "lakehouse" / "conf" / "local.yaml"
    run = subprocess.run(
        [*submit, "--config", config, "--trigger", "once"],
        cwd=tmp_path, env=environment, check=False, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert run.returncode == 0, run.stdout[-1000:] + run.stderr[-1000:]
    assert (tmp_path / "ran").read_text().startswith(str(moved))
    rows = DeltaTable(
        tmp_path / "lake" / "tables" / "bronze" / "drops_money_events"
    ).to_pyarrow_table()
    assert rows.num_rows == 2
    nameless = subprocess.run(
        [python, tmp_path / "run_job.py"],
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    assert nameless.returncode and "which job?" in nameless.stderr


def test_the_environment_leaves_to_the_cluster_what_is_the_clusters() -> None:
    locked = RUNTIME.read_text()
    kept = without(locked, OF_THE_CLUSTER)
    assert "\npyspark==" in locked and "pyspark==" not in kept and "py4j==" not in kept
    assert kept.count("--hash=") > 100 and "\nboto3==" in kept
