"""What EMR Serverless is asked for: one StartJobRun for each job, from the config alone."""

from __future__ import annotations

from typing import Any, Literal

from lakehouse.config import Config, DeploySettings, JobSize
from lakehouse.deployment.access import ACCESS
from lakehouse.deployment.roles import role_suffix
from lakehouse.errors import ConfigError
from lakehouse.session import TOLD_IN_ONE_LINE

Request = dict[str, Any]

_ARCHIVE = "environment"
_PYTHON = f"./{_ARCHIVE}/bin/python"
# none is started by a schedule: what they need is told by a person, on their command line
BY_HAND = frozenset({"audit", "correct_record"})

_QUIET = {
    # `open_session` switches these off on the driver; workers are processes of their own
    "classification": "spark-executor-log4j2",
    "properties": {
        f"logger.told{number}.{name}": value
        for number, logger in enumerate(TOLD_IN_ONE_LINE)
        for name, value in (("name", logger), ("level", "off"))
    },
}

_OPTIONS = {
    # another sample each day: to scan all items costs more than to write them did. What drifts is
    # told by its figure; failed, the run would be tried again, and a luckier sample would hide it
    "compare_serving": ("--sample", "100000", "--only-report"),
    # what does not close is told by its figure too, and ends nothing: the same account would come
    # of each further try
    "reconcile": ("--only-report",),
}


def deploy_settings(config: Config) -> DeploySettings:
    """The section `deploy`.

    Raises:
        ConfigError: this config runs nothing in an account.
    """
    if config.deploy is None:
        raise ConfigError("deploy", ["is null: name a config of an account, as in conf/aws.yaml"])
    return config.deploy


def job_requests(config: Config) -> dict[str, Request]:
    """Parameters of `start_job_run`, by job; `clientToken` is left to who sends it."""
    settings, region = deploy_settings(config), config.dynamodb.region
    return {job: _request(settings, region, job) for job in ACCESS if job not in BY_HAND}


def _request(settings: DeploySettings, region: str, job: str) -> Request:
    access = ACCESS[job]
    kind: Literal["streaming", "batch"] = "streaming" if access.streaming else "batch"
    applications = settings.applications
    arguments = [job, "--config", f"{_ARCHIVE}/share/lakehouse/conf/{settings.config}",
                 "--trigger", "continuous" if access.streaming else "once",
                 *_OPTIONS.get(job, ())]  # fmt: skip
    request: Request = {
        "name": job,
        "applicationId": applications.streaming if access.streaming else applications.batch,
        "executionRoleArn": f"{settings.role_prefix}{role_suffix(job)}",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": f"{settings.artifacts}/run_job.py",
                "entryPointArguments": arguments,
                "sparkSubmitParameters": _submit(settings, region, settings.sizes[kind]),
            }
        },
        "configurationOverrides": {
            "applicationConfiguration": [_QUIET],
            "monitoringConfiguration": {
                "cloudWatchLoggingConfiguration": {
                    "enabled": True,
                    "logGroupName": settings.log_group,
                    "logStreamNamePrefix": job,
                },
                # a copy of its own without end, under a key of AWS
                "managedPersistenceMonitoringConfiguration": {"enabled": False},
            },
        },
        "tags": {"lakehouse:job": job},
    }
    if access.streaming:
        # the service starts it anew, in another zone if need be, and gives up behind five failures
        # an hour; the machine of `streams_machine` begins it again within five minutes, so that it
        # comes back by itself from an outage, however long. What a person must decide fails until
        # then: that is told of, and costs the cores of one stream
        request |= {"mode": "STREAMING", "retryPolicy": {"maxFailedAttemptsPerHour": 5}}
    else:
        request |= {"mode": "BATCH", "executionTimeoutMinutes": settings.batch_minutes}
    return request


def _submit(settings: DeploySettings, region: str, size: JobSize) -> str:
    found = {
        "spark.archives": f"{settings.artifacts}/environment.tar.gz#{_ARCHIVE}",
        "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": _PYTHON,
        "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": _PYTHON,
        "spark.executorEnv.PYSPARK_PYTHON": _PYTHON,
        # boto3 knows no other name of it, and clients of secrets are told none
        "spark.emr-serverless.driverEnv.AWS_DEFAULT_REGION": region,
        "spark.executorEnv.AWS_DEFAULT_REGION": region,
        "spark.jars": ",".join(f"{settings.artifacts}/jars/{jar}" for jar in settings.jars),
        "spark.driver.cores": str(size.driver_cores),
        "spark.driver.memory": f"{size.driver_gb}g",
        "spark.executor.cores": str(size.executor_cores),
        "spark.executor.memory": f"{size.executor_gb}g",
        "spark.dynamicAllocation.minExecutors": str(size.least_executors),
        "spark.dynamicAllocation.maxExecutors": str(size.most_executors),
        **settings.spark,
    }
    return " ".join(f"--conf {name}={value}" for name, value in found.items())
