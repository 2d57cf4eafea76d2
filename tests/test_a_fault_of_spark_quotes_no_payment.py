"""Spark's own words of a fault quote the value that it met: they reach no log of a job."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lakehouse.cli.brief import BRIEF
from tests.conftest import ROOT
from tests.failing_process import CANARY, FAILING, IN_DEBUG

# as a service sets Spark up, without what set-up writes on a laptop
LOGGING = """
rootLogger.level = info
rootLogger.appenderRef.stderr.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex
"""


@pytest.mark.usefixtures("config")  # its environment is the process's
def test_a_job_that_fails_on_a_payment_tells_the_condition_and_not_the_payment(
    tmp_path: Path,
) -> None:
    logging = tmp_path / "log4j2.properties"
    logging.write_text(LOGGING)
    options = f"{BRIEF} -Dlog4j2.configurationFile={logging.as_uri()}"
    process = subprocess.run(
        [sys.executable, "-m", "tests.failing_process"], cwd=ROOT, text=True, timeout=240,
        env=os.environ | {"SPARK_SUBMIT_OPTS": options}, capture_output=True, check=True,
    )  # fmt: skip
    told = dict(line.split(": ", 1) for line in process.stdout.splitlines())
    assert told.keys() == {job.__name__ for job in FAILING}
    assert "ValueError" in told.pop("calling")
    assert all("[CAST_INVALID_INPUT]" in line for line in told.values())
    before, behind = process.stderr.split(IN_DEBUG)
    assert CANARY not in process.stdout
    assert [line for line in before.splitlines() if CANARY in line] == []
    assert CANARY in behind, "this process would not have seen it"
