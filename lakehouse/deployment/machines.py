"""deploy/*.asl.json: the day and the streams, as Step Functions definitions.

Each job is an EMR Serverless run by the request of `requests`; the service says when it ends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lakehouse.config import Config
from lakehouse.deployment.access import STREAMS
from lakehouse.deployment.requests import Request, deploy_settings, job_requests

State = dict[str, Any]

DAY = (
    "load_drops", "build_batch", "compare_paths", "consolidate", "record_history", "reconcile",
    "sync_dynamodb", "compare_serving", "maintain", "prove_history",
)  # fmt: skip
"""The order of the day; build_batch judges quality. Maintenance comes when all writers are done."""
MAY_FAIL = frozenset({"compare_paths", "reconcile", "compare_serving", "maintain", "prove_history"})
"""Their failure is told, and the day goes on: nothing behind them reads what they write."""

_RETRY = [
    # the service is busy, or has no capacity: nothing has begun
    {"ErrorEquals": ["EMRServerless.ThrottlingException", "EMRServerless.InternalServerException"],
     "IntervalSeconds": 5, "BackoffRate": 2, "MaxAttempts": 6, "JitterStrategy": "FULL"},
    # a job is safe to run again, whatever ended it; a lease of a dead run lasts a minute
    {"ErrorEquals": ["States.TaskFailed"], "IntervalSeconds": 90, "BackoffRate": 2,
     "MaxAttempts": 2},
]  # fmt: skip
_TOLD = "$.fault"
_DATA = ("tags", "properties")


def day_machine(config: Config) -> State:
    """The jobs of a day one after another; a failure is told, and mostly ends the day."""
    requests, topic = job_requests(config), deploy_settings(config).alerts_topic_arn
    states: dict[str, State] = {}
    for place, job in enumerate(DAY):
        following = DAY[place + 1] if place + 1 < len(DAY) else None
        caught = f"tell_{job}"
        states[job] = {
            "Type": "Task",
            "Resource": "arn:aws:states:::emr-serverless:startJobRun.sync",
            "Parameters": _parameters(requests[job]),
            "TimeoutSeconds": requests[job]["executionTimeoutMinutes"] * 60 + 600,
            "ResultPath": None,
            "Retry": _RETRY,
            "Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": _TOLD, "Next": caught}],
            **_next(following),
        }
        goes_on = job in MAY_FAIL
        states[caught] = _tell(
            topic, f"lakehouse: {job} failed", _next(following if goes_on else "failed")
        )
    failed = {"Type": "Fail", "Error": "DayFailed", "Cause": "a job failed; see the message sent"}
    return {
        "Comment": "Made by `lakehouse deploy day`",
        "StartAt": DAY[0],
        "States": {**states, "failed": failed},
    }


def streams_machine(config: Config) -> State:
    """Look whether each stream is there, and start it where it is not; for every few minutes."""
    requests, settings = job_requests(config), deploy_settings(config)
    branches = [_kept_up(job, requests[job], settings.alerts_topic_arn) for job in STREAMS]
    return {
        "Comment": "Made by `lakehouse deploy streams`",
        "StartAt": "streams",
        "States": {"streams": {"Type": "Parallel", "Branches": branches, "End": True}},
    }


def _kept_up(job: str, request: Request, topic: str) -> State:
    look, judge, start, tell = f"look_{job}", f"judge_{job}", job, f"tell_{job}"
    there, failed = f"there_{job}", f"failed_{job}"
    found = {
        # a run that waits or is about to start counts: a second one would only meet its lease
        "there.$": f"States.ArrayContains($.JobRuns[*].Name, '{job}')"
    }
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": _TOLD, "Next": tell}]
    return {
        "StartAt": look,
        "States": {
            look: {
                "Type": "Task",
                "Resource": "arn:aws:states:::aws-sdk:emrserverless:listJobRuns",
                "Parameters": {
                    "ApplicationId": request["applicationId"],
                    "Mode": "STREAMING",
                    "States": ["SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING"],
                    "MaxResults": 50,
                },
                "ResultSelector": found,
                "Retry": _RETRY[:1],
                "Catch": catch,
                "Next": judge,
            },
            judge: {
                "Type": "Choice",
                "Choices": [{"Variable": "$.there", "BooleanEquals": True, "Next": there}],
                "Default": start,
            },
            start: {
                "Type": "Task",
                # without .sync: the stream goes on when this machine has ended
                "Resource": "arn:aws:states:::emr-serverless:startJobRun",
                "Parameters": _parameters(request),
                "Retry": _RETRY[:1],
                "Catch": catch,
                "End": True,
            },
            there: {"Type": "Succeed"},
            tell: _tell(topic, f"lakehouse: {job} could not be started", _next(failed)),
            failed: {"Type": "Fail", "Error": "StreamNotStarted", "Cause": job},
        },
    }


def _tell(topic: str, subject: str, then: Mapping[str, Any]) -> State:
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sns:publish",
        "Parameters": {
            "TopicArn": topic,
            "Subject": subject,
            # the error's name and the run's id; what the job logged stays in its log group
            "Message.$": "States.Format('{}: execution {}', $.fault.Error, $$.Execution.Id)",
        },
        "ResultPath": None,
        # nobody could be told: that must not stop what can go on
        "Retry": [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 3}],
        **then,
    }


def _next(state: str | None) -> State:
    return {"Next": state} if state else {"End": True}


def _parameters(value: Any) -> Any:
    """The request in the spelling of Step Functions: names begin in capitals; some are data."""
    if isinstance(value, dict):
        return {
            name[0].upper() + name[1:]: each if name in _DATA else _parameters(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        return [_parameters(each) for each in value]
    return value
