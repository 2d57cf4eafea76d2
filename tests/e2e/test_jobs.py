"""Each job runs by spark-submit, as a process of its own."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest

from lakehouse.tables import GOLD_TRANSACTIONS
from tests.conftest import ROOT
from tests.e2e.conftest import JOB_FILES, TIMEOUT_SECONDS, Platform

pytestmark = pytest.mark.timeout(TIMEOUT_SECONDS)


@pytest.mark.parametrize("job", JOB_FILES)
def test_the_job_runs_by_spark_submit_and_changes_nothing_twice(
    platform: Platform, job: str
) -> None:
    version = platform.version(GOLD_TRANSACTIONS)
    run = platform.submit(job)
    assert run.returncode == 0, run.stderr[-3000:]
    assert platform.version(GOLD_TRANSACTIONS) == version


def test_every_job_file_is_a_job_of_that_name_and_is_run_here() -> None:
    jobs = {point.name: point.value for point in entry_points(group="lakehouse.jobs")}
    assert set(jobs) == set(JOB_FILES)
    for name, file in JOB_FILES.items():
        assert (ROOT / file).is_file()
        assert jobs[name] == f"{file.removesuffix('.py').replace('/', '.')}:{name}"
