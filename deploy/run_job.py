"""What spark-submit is given: `run_job.py JOB --config FILE ...`; the job is in the environment."""

from __future__ import annotations

import sys

from lakehouse.job import job_named, run
from lakehouse.monitoring import finish


def main(arguments: list[str]) -> None:
    """Run the job that is named first, with the options behind it."""
    if len(arguments) < 2:
        sys.exit("error: which job? run_job.py JOB --config FILE")
    name = arguments.pop(1)
    finish(lambda: run(job_named(name)), debug="--debug" in arguments)


if __name__ == "__main__":
    main(sys.argv)
