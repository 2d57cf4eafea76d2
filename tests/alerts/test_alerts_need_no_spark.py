"""Alerts are checked on a machine of their own: it has no Spark, and needs none."""

from __future__ import annotations

import subprocess
import sys

from lakehouse.config import Config
from tests.conftest import LOCAL, ROOT

_WITHOUT_SPARK = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("pyspark", "py4j", "delta"):
            raise ModuleNotFoundError(f"there is no {name} here")

sys.meta_path.insert(0, Absent())
from lakehouse.cli import app
app(sys.argv[1:])
"""


def test_a_check_starts_where_no_spark_is_installed(config: Config) -> None:
    assert config.lake.operations  # the process reads the same settings from its environment
    words = ["alerts", "check", "--config", str(LOCAL), "--json"]
    told = subprocess.run(
        [sys.executable, "-c", _WITHOUT_SPARK, *words],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    assert '"changes"' in told.stdout
