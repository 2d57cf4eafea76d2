"""How people are told: SNS, PagerDuty, this terminal. Each is asked once and waited for briefly."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import boto3
import httpx
from botocore.config import Config as ClientConfig
from botocore.exceptions import BotoCoreError, ClientError

from lakehouse.alerts.episodes import Change, Event
from lakehouse.config import (
    ChannelSettings,
    PagerDutyChannel,
    SnsChannel,
)
from lakehouse.errors import ChannelError
from lakehouse.secret_stores import secret

_TIMEOUT_SECONDS = 5.0
_TOO_MANY = 429
_SNS_SUBJECT = 100  # characters, ASCII
_PAGERDUTY_SUMMARY = 1024


class Channel(Protocol):
    """One way to people."""

    name: str

    def tell(self, change: Change) -> None:
        """Say what happened to an episode; in some seconds, or raise ChannelError."""


def channels_of(settings: Sequence[ChannelSettings], runbook: str) -> list[Channel]:
    """The channels that the config names, in its order."""
    return [_channel(each, runbook) for each in settings]


def _channel(settings: ChannelSettings, runbook: str) -> Channel:
    if isinstance(settings, SnsChannel):
        return Sns(settings, runbook)
    if isinstance(settings, PagerDutyChannel):
        return PagerDuty(settings, runbook)
    return Terminal(runbook)


def link_of(rule: str, runbook: str) -> str:
    """The section of the runbook that says what a rule means and what to do."""
    return f"{runbook}#{rule}"


def facts_of(change: Change, runbook: str) -> Mapping[str, Any]:
    """All that a message says: figures of jobs and tables, nothing of a payment."""
    episode = change.episode
    return {
        "event": str(change.event),
        "rule": episode.rule,
        "subject": episode.subject,
        "severity": str(episode.severity),
        "message": episode.message,
        "detail": episode.detail,
        "opened_at": episode.opened_at.isoformat(),
        "resolved_at": episode.resolved_at.isoformat() if episode.resolved_at else None,
        "runbook": link_of(episode.rule, runbook),
        "id": episode.id,
    }


class Terminal:
    """Standard error of whoever checks."""

    name = "terminal"

    def __init__(self, runbook: str) -> None:
        self._runbook = runbook

    def tell(self, change: Change) -> None:
        """Print one line."""
        episode = change.episode
        what = f"{str(change.event).upper()} {episode.severity} {episode.rule} ({episode.subject})"
        link = link_of(episode.rule, self._runbook)
        line = f"{what}: {episode.message}: {episode.detail}. See {link}"
        print(line, file=sys.stderr, flush=True)


class Sns:
    """A topic of SNS: whoever subscribes gets a subject and JSON."""

    name = "sns"

    def __init__(self, settings: SnsChannel, runbook: str) -> None:
        self._topic, self._runbook = settings.topic_arn, runbook
        self._client = boto3.client(
            "sns",
            endpoint_url=settings.endpoint_url,
            region_name=settings.region,
            # one attempt: what was not sent is sent with the next check
            config=ClientConfig(
                connect_timeout=_TIMEOUT_SECONDS,
                read_timeout=_TIMEOUT_SECONDS,
                retries={"total_max_attempts": 1},
            ),
        )

    def tell(self, change: Change) -> None:
        """Publish."""
        episode = change.episode
        subject = (
            f"{str(change.event).upper()} {episode.severity}: {episode.rule} {episode.subject}"
        )
        attributes = {"event": change.event, "severity": episode.severity, "rule": episode.rule}
        try:
            self._client.publish(
                TopicArn=self._topic,
                Subject=_ascii(subject)[:_SNS_SUBJECT],
                Message=json.dumps(facts_of(change, self._runbook), indent=2),
                MessageAttributes={
                    name: {"DataType": "String", "StringValue": str(value)}
                    for name, value in attributes.items()
                },
            )
        except (BotoCoreError, ClientError) as fault:
            raise ChannelError(self.name, type(fault).__name__) from fault


class PagerDuty:
    """PagerDuty's Events API, version 2: an episode is one incident, by its dedup key."""

    name = "pagerduty"

    def __init__(self, settings: PagerDutyChannel, runbook: str) -> None:
        self._url, self._key, self._runbook = settings.url, settings.routing_key, runbook

    def tell(self, change: Change) -> None:
        """Trigger, update (the same dedup key again) or resolve an incident."""
        episode = change.episode
        facts = facts_of(change, self._runbook)
        body: dict[str, Any] = {
            # looked up for each message: it is in no field, no repr and no log
            "routing_key": secret(self._key),
            "event_action": "resolve" if change.event == Event.RESOLVED else "trigger",
            "dedup_key": episode.id,
        }
        if change.event != Event.RESOLVED:
            summary = f"{episode.rule} ({episode.subject}): {episode.message}: {episode.detail}"
            body["payload"] = {
                "summary": summary[:_PAGERDUTY_SUMMARY],
                "source": "lakehouse",
                "severity": str(episode.severity),
                "timestamp": episode.updated_at.isoformat(),
                "component": episode.subject,
                "class": episode.rule,
                "custom_details": facts,
            }
            if "://" in self._runbook:
                text = f"Runbook: {episode.rule}"
                body["links"] = [{"href": link_of(episode.rule, self._runbook), "text": text}]
        try:
            answer = httpx.post(self._url, json=body, timeout=_TIMEOUT_SECONDS)
        except httpx.HTTPError as fault:
            # its text could carry the request
            raise ChannelError(self.name, type(fault).__name__) from None
        if not answer.is_success:
            is_refusal = answer.is_client_error and answer.status_code != _TOO_MANY
            raise ChannelError(self.name, f"HTTP {answer.status_code}", is_refusal)


def _ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\n", " ")
