"""How clients sign in to MSK: by the role of the job, or by a user and a password."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.kafka import client_options, reader_options
from tests.conftest import LOCAL, ROOT

AWS = ROOT / "conf" / "aws.yaml"
STARTING = {0: 7}


def reader_of(config: Config) -> dict[str, str]:
    """What Spark's reader is told, of sign-in only."""
    options = reader_options(config.kafka, "payments.transactions", STARTING)
    return {name: value for name, value in options.items() if "sasl" in name or "security" in name}


def client_of(config: Config) -> dict[str, Any]:
    """What every other client is told, of sign-in only."""
    options = client_options(config.kafka)
    return {n: value for n, value in options.items() if n.startswith(("sasl", "security", "oauth"))}


@pytest.fixture
def by_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Config]:
    """The configuration for AWS with the sign-in that stands there as a comment."""
    lines = [line for line in AWS.read_text().splitlines() if not line.startswith("  sign_in: ")]
    config = tmp_path / "aws.yaml"
    config.write_text("\n".join(lines).replace("  # sign_in: ", "  sign_in: "))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        login = {"username": "bronze", "password": 'a "quoted" \\ one'}
        boto3.client("secretsmanager").create_secret(
            Name="AmazonMSK_lakehouse-kafka", SecretString=json.dumps(login)
        )
        yield Config.load(config)


def test_by_iam_no_password_exists() -> None:
    config = Config.load(AWS)
    assert reader_of(config) == {
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "AWS_MSK_IAM",
        "kafka.sasl.jaas.config": "software.amazon.msk.auth.iam.IAMLoginModule required;",
        "kafka.sasl.client.callback.handler.class": (
            "software.amazon.msk.auth.iam.IAMClientCallbackHandler"
        ),
    }
    client = client_of(config)
    token = client.pop("oauth_cb")
    assert client == {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"}
    assert callable(token)


def test_a_token_is_signed_by_the_role_and_expires(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    token, until = client_options(Config.load(AWS).kafka)["oauth_cb"]("")
    assert len(token) > 100
    assert until > 1_700_000_000


def test_by_password_the_two_are_secrets_and_quoted(by_password: Config) -> None:
    login = "org.apache.kafka.common.security.scram.ScramLoginModule required"
    assert reader_of(by_password) == {
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.sasl.jaas.config": (
            f'{login} username="bronze" password="a \\"quoted\\" \\\\ one";'
        ),
    }
    assert client_of(by_password) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "bronze",
        "sasl.password": 'a "quoted" \\ one',
    }


def test_a_password_that_is_not_there_is_named(by_password: Config) -> None:
    boto3.client("secretsmanager").put_secret_value(
        SecretId="AmazonMSK_lakehouse-kafka", SecretString='{"username": "bronze"}'
    )
    with pytest.raises(ConfigError, match="AmazonMSK_lakehouse-kafka#password"):
        reader_of(by_password)


def test_a_broker_on_this_machine_asks_for_nothing() -> None:
    assert (reader_of(Config.load(LOCAL)), client_of(Config.load(LOCAL))) == ({}, {})
