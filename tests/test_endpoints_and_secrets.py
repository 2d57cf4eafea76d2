"""A config sends nothing in the clear, nothing to a metadata service, and holds no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args

import boto3
import pytest
from moto import mock_aws
from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pytest import param

from lakehouse.config import Config
from lakehouse.endpoints import checked_address, checked_servers
from lakehouse.errors import ConfigError
from lakehouse.secret_stores import secret
from tests.conftest import LOCAL, ROOT


@pytest.mark.parametrize(
    "address",
    ["https://scores.example/score", "http://127.0.0.1:18080/score", "http://localhost:1",
     "http://[::1]:8000", "https://10.0.0.7", "http://127.1:8", "https://[64:ff9b::a00:7]"],
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
        param("https://[::169.254.169.254]/", "link-local", id="IPv4-compatible"),
        param("https://[64:ff9b::a9fe:a9fe]/", "link-local", id="NAT64"),
        param("https://[64:ff9b:1::a9fe:a9fe]/", "link-local", id="NAT64 of a network's own"),
        param("https://[2002:a9fe:a9fe::]/", "link-local", id="6to4"),
        param("http://[::127.0.0.1]/", "http:// only", id="IPv4-compatible is not this machine"),
        param("https://169\u3002254\u3002169\u3002254/", "in ASCII", id="ideographic full stops"),
        param("https://169\uff0e254\uff0e169\uff0e254/", "in ASCII", id="wide full stops"),
        param("https://\uff11\uff16\uff19.254.169.254/", "in ASCII", id="wide digits"),
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
    "servers, told",
    [
        param("169.254.169.254:9092", "link-local", id="metadata"),
        param("b-1.example:9098, 2852039166:80", "link-local", id="metadata behind a broker"),
        param("[fe80::1]:9092", "link-local", id="IPv6"),
        param("[64:ff9b::a9fe:a9fe]:9092", "link-local", id="NAT64"),
        param("169\u3002254\u3002169\u3002254:9092", "in ASCII", id="ideographic full stops"),
        param("metadata.google.internal:80", "link-local", id="by name"),
        param("b-1.example", "expected HOST:PORT", id="no port"),
        param("b-1.example:9098,", "expected HOST:PORT", id="nothing behind a comma"),
        param("https://b-1.example:9098", "expected HOST:PORT", id="an address"),
        param("b-1.example:9098:9098", "expected HOST:PORT", id="a port twice"),
    ],
)
def test_brokers_are_hosts_with_ports_and_no_metadata_service(servers: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        checked_servers(servers)


@pytest.mark.parametrize(
    "servers", ["127.0.0.1:19092", "b-1.example:9098,b-2.example:9098", "[::1]:1"]
)
def test_brokers_are_taken_as_they_are_written(servers: str) -> None:
    assert checked_servers(servers) == servers


def test_brokers_elsewhere_need_a_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE__KAFKA__BOOTSTRAP_SERVERS", "b-1.example:9098,127.0.0.1:9092")
    with pytest.raises(ConfigError, match="null only for brokers on this machine"):
        Config.load(LOCAL)
    monkeypatch.setenv("LAKEHOUSE__KAFKA__SIGN_IN", '{"mechanism": "iam", "region": "eu-west-1"}')
    assert Config.load(LOCAL).kafka.sign_in is not None


def _fields(model: type[BaseModel], place: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Each field of a model and of the models inside it, by its place."""
    for name, field in model.model_fields.items():
        yield f"{place}{name}", field
        for inner in _models(field.annotation):
            yield from _fields(inner, f"{place}{name}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for each in get_args(annotation):
        yield from _models(each)


def _checked_as(field: FieldInfo) -> TypeAdapter[Any]:
    """As pydantic does: what checks a value is in its annotation, or beside it."""
    kind: Any = field.annotation
    for check in field.metadata:
        kind = Annotated[kind, check]
    return TypeAdapter(kind)


ADDRESSES = {place: field for place, field in _fields(Config) if "url" in place.rpartition(".")[2]}


def test_the_walk_finds_the_addresses_that_are_there() -> None:
    known = {"scoring.url", "dynamodb.endpoint_url", "metrics.to.endpoint_url",
             "history.heads.endpoint_url", "alerts.channels.url"}  # fmt: skip
    assert known < set(ADDRESSES)


@pytest.mark.parametrize("place", ADDRESSES)
def test_every_address_of_a_config_is_checked(place: str) -> None:
    field = ADDRESSES[place]
    kind = _checked_as(field)
    assert kind.validate_python("https://example.com/x") == "https://example.com/x"
    with pytest.raises(ValidationError, match="link-local"):
        kind.validate_python("https://169.254.169.254/x")


@pytest.mark.parametrize("place", ["spark.settings", "deploy.spark"])
def test_an_endpoint_among_spark_s_settings_is_an_address_too(place: str) -> None:
    field = dict(_fields(Config))[place]
    kind = _checked_as(field)
    fine = {"spark.hadoop.fs.s3a.endpoint": "https://s3.eu-central-1.amazonaws.com", "a.b": "x"}
    assert kind.validate_python(fine) == fine
    for wrong in ("http://10.0.0.7:9000", "https://169.254.169.254", "s3.example"):
        with pytest.raises(ValidationError, match=r"fs\.s3a\.bucket\.lake\.endpoint: "):
            kind.validate_python({"spark.hadoop.fs.s3a.bucket.lake.endpoint": wrong})


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
