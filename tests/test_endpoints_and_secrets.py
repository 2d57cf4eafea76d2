"""A config sends nothing in the clear, nothing to a metadata service, and holds no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from pytest import param

from lakehouse.config import Config
from lakehouse.endpoints import checked_address
from lakehouse.errors import ConfigError
from lakehouse.secret_stores import secret
from tests.conftest import LOCAL, ROOT


@pytest.mark.parametrize(
    "address",
    ["https://scores.example/score", "http://127.0.0.1:18080/score", "http://localhost:1",
     "http://[::1]:8000", "https://10.0.0.7", "http://127.1:8"],
)  # fmt: skip
def test_an_encrypted_address_or_one_of_this_machine_may_be_named(address: str) -> None:
    assert checked_address(address) == address


@pytest.mark.parametrize(
    "address, told",
    [
        param("http://scores.example/score", "http:// only on this machine", id="in the clear"),
        param("http://10.0.0.7", "http:// only on this machine", id="in the clear, private"),
        param("http://localhost.example", "http:// only", id="a name that only begins so"),
        param("https://169.254.169.254/latest", "link-local", id="metadata"),
        param("https://2852039166/", "link-local", id="metadata as one number"),
        param("https://0xa9fea9fe/", "link-local", id="metadata in hexadecimal"),
        param("https://169.16689662/", "link-local", id="metadata in two parts"),
        param("https://[fe80::1%25eth0]/", "link-local", id="IPv6"),
        param("https://[::ffff:169.254.169.254]/", "link-local", id="IPv4 within IPv6"),
        param("https://[fd00:ec2::254]/", "link-local", id="metadata by IPv6"),
        param("https://169.254.170.2/v2", "link-local", id="credentials of a container"),
        param("https://metadata.google.internal./", "link-local", id="by name"),
        param("http://0.0.0.0:80", "link-local", id="any address"),
        param("https://user:hunter2@scores.example", "no password", id="a password"),
        param("ftp://scores.example", "expected an address", id="another scheme"),
        param("https:///score", "expected an address", id="no host"),
    ],
)
def test_any_other_address_is_refused_and_a_password_is_not_repeated(
    address: str, told: str
) -> None:
    with pytest.raises(ValueError, match=told) as fault:
        checked_address(address)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize(
    "key", ["SCORING__URL", "DYNAMODB__ENDPOINT_URL"], ids=["scoring", "dynamodb"]
)
def test_every_address_of_a_config_is_checked(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv(f"LAKEHOUSE__{key}", "https://169.254.169.254/x")
    with pytest.raises(ConfigError, match="link-local"):
        Config.load(LOCAL)


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        yield boto3


def test_secrets_come_from_secrets_manager_and_from_parameters(account: Any) -> None:
    keeper = account.client("secretsmanager")
    plain = keeper.create_secret(Name="lakehouse/card-token-key", SecretString="hunter2")
    keeper.create_secret(Name="kafka", SecretString='{"username": "jobs", "password": "hunter3"}')
    account.client("ssm").put_parameter(Name="/a/key", Value="hunter4", Type="SecureString")
    assert secret("secretsmanager:lakehouse/card-token-key") == "hunter2"
    assert secret(f"secretsmanager:{plain['ARN']}") == "hunter2"
    assert secret("secretsmanager:kafka#password") == "hunter3"
    assert secret("ssm:/a/key") == "hunter4"


@pytest.mark.parametrize(
    "reference, told",
    [
        param("secretsmanager:nope", "ResourceNotFound", id="absent"),
        param("ssm:/nope", "ParameterNotFound", id="absent parameter"),
        param("secretsmanager:plain#password", "no JSON object", id="no JSON"),
        param("secretsmanager:json#nope", "no JSON object", id="no such key"),
    ],
)
def test_a_secret_that_is_not_there_is_named_and_no_value_is(
    account: Any, reference: str, told: str
) -> None:
    keeper = account.client("secretsmanager")
    keeper.create_secret(Name="plain", SecretString="hunter2")
    keeper.create_secret(Name="json", SecretString='{"password": "hunter3"}')
    with pytest.raises(ConfigError, match=told) as fault:
        secret(reference)
    assert reference in str(fault.value) and "hunter" not in str(fault.value)


def test_a_rotated_secret_counts_from_the_next_look_on(account: Any) -> None:
    keeper = account.client("secretsmanager")
    keeper.create_secret(Name="key", SecretString="before")
    assert secret("secretsmanager:key") == "before"
    keeper.put_secret_value(SecretId="key", SecretString="after")
    assert secret("secretsmanager:key") == "after"


def test_the_config_of_an_account_asks_for_its_secrets_by_the_names_of_the_template() -> None:
    config = Config.load(ROOT / "conf" / "aws.yaml")
    storage = (ROOT / "deploy" / "storage.yaml").read_text()
    for reference in (config.cards.token_key, config.history.signing_key):
        name = reference.removeprefix("secretsmanager:lakehouse/")
        assert f'Name: !Sub "${{Prefix}}/{name}"' in storage
