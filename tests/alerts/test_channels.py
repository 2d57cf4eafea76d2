"""SNS (moto) and PagerDuty (a real HTTP server) hear of an alert and of its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import boto3
import pytest
from moto.sns.models import sns_backends

from lakehouse.alerts.channels import PagerDuty, Sns
from lakehouse.alerts.checking import check
from lakehouse.alerts.episodes import Change, Episode, Event
from lakehouse.alerts.evaluating import Breach, Judged
from lakehouse.alerts.rules import Severity
from lakehouse.alerts.store import FileOfAlerts
from lakehouse.config import PagerDutyChannel, SnsChannel
from lakehouse.errors import ChannelError
from tests.alerts.test_alerts_are_episodes import LATE, SETTINGS
from tests.conftest import NOON
from tests.s3_server import s3_server

REGION = "eu-central-1"
RUNBOOK = "https://example.com/runbook.md"
OPENED = Change(event=Event.OPENED, episode=Episode.begun(LATE, NOON), is_told=True)
RESOLVED = OPENED.model_copy(update={"event": Event.RESOLVED})


class _Events(BaseHTTPRequestHandler):
    """What PagerDuty's address does: it hears, and answers with `status`."""

    heard: ClassVar[list[Any]] = []
    status: ClassVar[int] = 202

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.status < 500:
            self.heard.append(body)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(_Events, "heard", [])
    monkeypatch.setenv("ROUTING_KEY", "canary-key")
    server = HTTPServer(("127.0.0.1", 0), _Events)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v2/enqueue"
    server.shutdown()
    server.server_close()


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[SnsChannel]:
    """A topic of SNS (moto, over HTTP)."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with s3_server() as endpoint:
        client = boto3.client("sns", endpoint_url=endpoint, region_name=REGION)
        arn = client.create_topic(Name="alerts")["TopicArn"]
        yield SnsChannel(channel="sns", topic_arn=arn, region=REGION, endpoint_url=endpoint)


def published(topic: SnsChannel) -> list[Any]:
    """What the topic got, oldest first."""
    backend = sns_backends["123456789012"][REGION]
    return [json.loads(each[1]) for each in backend.topics[topic.topic_arn].sent_notifications]


def pagerduty(address: str) -> PagerDuty:
    settings = PagerDutyChannel(channel="pagerduty", url=address, routing_key="env:ROUTING_KEY")
    return PagerDuty(settings, RUNBOOK)


def test_pagerduty_triggers_and_resolves_one_incident(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = pagerduty(address)
    channel.tell(OPENED)
    channel.tell(RESOLVED)
    opened, resolved = _Events.heard
    assert (opened["event_action"], resolved["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == resolved["dedup_key"] == OPENED.episode.id
    assert opened["routing_key"] == "canary-key"
    assert opened["links"][0]["href"] == f"{RUNBOOK}#freshness"
    monkeypatch.setattr(_Events, "status", 400)
    with pytest.raises(ChannelError) as refused:
        channel.tell(OPENED)
    assert refused.value.is_refusal and "canary-key" not in str(refused.value)


def test_sns_publishes_with_the_section_of_the_runbook(topic: SnsChannel) -> None:
    Sns(topic, RUNBOOK).tell(OPENED)
    (message,) = published(topic)
    assert (message["runbook"], message["event"]) == (f"{RUNBOOK}#freshness", "opened")


def test_a_channel_that_is_down_hears_all_later_and_holds_up_no_other(
    address: str, topic: SnsChannel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FileOfAlerts(tmp_path / "alerts.sqlite")
    channels = (pagerduty(address), Sns(topic, RUNBOOK))

    def unsent_at(minute: int, *broken: Breach) -> dict[str, int]:
        now = NOON + timedelta(minutes=minute)
        return check(Judged(broken), store, channels, SETTINGS, now).unsent

    monkeypatch.setattr(_Events, "status", 503)
    worse = replace(LATE, severity=Severity.ERROR)
    assert unsent_at(0, LATE) == {"pagerduty": 1, "sns": 0}
    assert unsent_at(1, worse) == {"pagerduty": 2, "sns": 0}
    unsent_at(2)
    assert unsent_at(2 + SETTINGS.sound_minutes) == {"pagerduty": 3, "sns": 0}
    events = ["opened", "updated", "resolved"]
    assert [each["event"] for each in published(topic)] == events
    assert _Events.heard == []
    monkeypatch.setattr(_Events, "status", 202)
    assert unsent_at(60) == {"pagerduty": 0, "sns": 0}
    actions = [each["event_action"] for each in _Events.heard]
    assert actions == ["trigger", "trigger", "resolve"]
    assert len({each["dedup_key"] for each in _Events.heard}) == 1
    # nothing is said twice
    assert unsent_at(61) == {"pagerduty": 0, "sns": 0}
    assert (len(_Events.heard), len(published(topic))) == (3, 3)
