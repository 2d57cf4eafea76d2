"""SNS (moto) and PagerDuty (a real HTTP server) hear of an alert and of its end."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any, ClassVar

import boto3
import pytest
from moto import mock_aws

from lakehouse.alerts.channels import PagerDuty, Sns
from lakehouse.alerts.episodes import Change, Episode, Event
from lakehouse.config import PagerDutyChannel, SnsChannel
from lakehouse.errors import ChannelError
from tests.alerts.test_alerts_are_episodes import LATE
from tests.conftest import NOON

RUNBOOK = "https://example.com/runbook.md"
OPENED = Change(event=Event.OPENED, episode=Episode.begun(LATE, NOON), is_told=True)
RESOLVED = OPENED.model_copy(update={"event": Event.RESOLVED})


class _Events(BaseHTTPRequestHandler):
    heard: ClassVar[list[Any]] = []
    status: ClassVar[int] = 202

    def do_POST(self) -> None:
        self.heard.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Events)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v2/enqueue"
    server.shutdown()


def test_pagerduty_triggers_and_resolves_one_incident(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROUTING_KEY", "canary-key")
    settings = PagerDutyChannel(channel="pagerduty", url=address, routing_key="env:ROUTING_KEY")
    channel = PagerDuty(settings, RUNBOOK)
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


def test_sns_publishes_with_the_section_of_the_runbook(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        arn = boto3.client("sns", region_name="eu-central-1").create_topic(Name="alerts")[
            "TopicArn"
        ]
        settings = SnsChannel(
            channel="sns", topic_arn=arn, region="eu-central-1", endpoint_url=None
        )
        Sns(settings, RUNBOOK).tell(OPENED)
        from moto.sns.models import sns_backends

        ((_, message, *_),) = (
            sns_backends["123456789012"]["eu-central-1"].topics[arn].sent_notifications
        )
    assert json.loads(message)["runbook"] == f"{RUNBOOK}#freshness"
