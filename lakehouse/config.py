"""The one configuration of a run: a complete YAML file, then `LAKEHOUSE__SECTION__KEY` overrides.

Loaded once, frozen; beside `secret_stores` the only place that reads the process environment.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from lakehouse.endpoints import are_here, checked_address, checked_servers
from lakehouse.errors import ConfigError

ENV_PREFIX = "LAKEHOUSE__"
DEFAULT_CONFIG = Path("conf/local.yaml")
_ENVIRONMENT = "environment"
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseModel):
    """A section: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# pydantic-settings hands validators no context of its own
_config_folder: ContextVar[Path] = ContextVar("config_folder")


def _beside_config(value: str) -> str:
    """Resolve a relative path against the folder of the config file; leave URIs as they are."""
    if "://" in value:
        return value.rstrip("/")
    return str((_config_folder.get(Path.cwd()) / value).resolve())


Location = Annotated[str, AfterValidator(_beside_config)]


ACCOUNT_STORES = ("secretsmanager", "ssm")
"""Where an account keeps secrets: `secretsmanager:NAME`, `secretsmanager:NAME#KEY`, `ssm:NAME`."""
_STORED_NAME = re.compile(r"[\w/+=.@:-]{1,2048}(#\w{1,128})?", re.ASCII)


def _resolve_reference(value: object) -> str:
    reference = value if isinstance(value, str) else ""  # a secret of digits alone is a number
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name:
        return reference
    if scheme == "generated-file" and name:
        return f"generated-file:{_beside_config(name)}"
    if scheme in ACCOUNT_STORES and _STORED_NAME.fullmatch(name):
        return reference
    expected = (
        "env:NAME, secretsmanager:NAME, secretsmanager:NAME#KEY, ssm:NAME or generated-file:PATH"
    )
    raise ValueError(f"a secret is named, never written: expected {expected}")


SecretRef = Annotated[str, BeforeValidator(_resolve_reference)]


HttpUrl = Annotated[str, AfterValidator(checked_address)]
Servers = Annotated[str, AfterValidator(checked_servers)]


def _endpoints_checked(values: dict[str, str]) -> dict[str, str]:
    """Settings of Spark: what a name ending in `.endpoint` says is an address as any other."""
    for name, value in values.items():
        if name.endswith(".endpoint"):
            try:
                checked_address(value)
            except ValueError as fault:
                raise ValueError(f"{name}: {fault}") from None
    return values


def _text(value: object) -> object:
    # of Spark's settings some are secrets: Pydantic's own check would repeat the value
    if not isinstance(value, str):
        raise ValueError("expected a text: put it in quotes")
    return value


def _word(value: str) -> str:
    if not value or re.search(r"[\s'\"]", value):
        raise ValueError("expected a text without spaces and quotes")
    return value


SparkValue = Annotated[str, BeforeValidator(_text)]
SparkProperties = Annotated[dict[str, SparkValue], AfterValidator(_endpoints_checked)]


class LakeSettings(Settings):
    """Where data lies: a folder or an `s3a://` prefix."""

    root: Location
    landing: Location

    @property
    def tables(self) -> str:
        """The folder of all Delta tables."""
        return f"{self.root}/tables"

    @property
    def checkpoints(self) -> str:
        """The folder of all streaming checkpoints, one per job."""
        return f"{self.root}/checkpoints"

    @property
    def operations(self) -> str:
        """The folder of what the platform says of itself: runs, and on a laptop figures, alerts."""
        return f"{self.root}/operations"


class SparkSettings(Settings):
    """Session settings; those that every runtime needs are in `lakehouse.session`."""

    settings: SparkProperties


class Topics(Settings):
    """Topic names of the public contract."""

    transactions: str
    fraud_scores: str


class IamSignIn(Settings):
    """MSK by IAM: the role of the job signs in, no password exists."""

    mechanism: Literal["iam"]
    region: str


class ScramSignIn(Settings):
    """MSK by SASL/SCRAM: a user and its password."""

    mechanism: Literal["scram"]
    user: SecretRef
    password: SecretRef


class KafkaSettings(Settings):
    """How jobs reach Kafka; `sign_in: null` is a broker of this machine that asks for none."""

    bootstrap_servers: Servers
    topics: Topics
    max_records_per_batch: PositiveInt
    sign_in: Annotated[IamSignIn | ScramSignIn, Field(discriminator="mechanism")] | None

    @field_validator("sign_in")
    @classmethod
    def _is_encrypted(
        cls, value: IamSignIn | ScramSignIn | None, info: ValidationInfo
    ) -> IamSignIn | ScramSignIn | None:
        # a sign-in is what brings TLS: without one payments would leave this machine in the clear
        if value is None and not are_here(info.data.get("bootstrap_servers", "localhost:1")):
            raise ValueError("null only for brokers on this machine: expected iam or scram")
        return value


class TriggerSettings(Settings):
    """How streaming jobs run when the command line does not say.

    `max_batch_mb` bounds what a micro-batch of `enrich_live` reads of each table: whole files, up
    to one more than that, and never more than 1,000.
    """

    mode: Literal["once", "continuous"]
    interval_seconds: PositiveInt
    max_batch_mb: PositiveInt


class CardSettings(Settings):
    """Card numbers in payloads become a keyed token before they land."""

    token_key: SecretRef


class CircuitBreakerSettings(Settings):
    """So many unanswered requests in a row, and none is sent for `open_seconds`; then one is."""

    failures: PositiveInt
    open_seconds: float = Field(gt=0)


class ScoringSettings(Settings):
    """The inference API; `url: null` leaves scoring to the topic and to batch.

    `concurrency` and `total_deadline_seconds` are of one partition of a micro-batch.
    """

    url: HttpUrl | None
    batch_size: PositiveInt
    concurrency: PositiveInt
    connect_timeout_seconds: float = Field(gt=0)
    read_timeout_seconds: float = Field(gt=0)
    total_deadline_seconds: float = Field(gt=0)
    attempts: PositiveInt
    backoff_seconds: float = Field(gt=0)
    max_backoff_seconds: float = Field(gt=0)
    circuit_breaker: CircuitBreakerSettings

    @field_validator("total_deadline_seconds")
    @classmethod
    def _holds_an_attempt(cls, value: float, info: ValidationInfo) -> float:
        timeouts = ("connect_timeout_seconds", "read_timeout_seconds")
        # else no attempt ever ends by itself, and the circuit breaker never learns of a dead one
        if value < sum(info.data.get(name, 0.0) for name in timeouts):
            raise ValueError(f"expected at least {' and '.join(timeouts)} together")
        return value


class MoneySettings(Settings):
    """Normalisation: ISO 4217 code of the base currency, and how old a rate may be."""

    base_currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    max_rate_age_days: PositiveInt


class IngestSettings(Settings):
    """Plausibility of delivered records."""

    max_clock_ahead_hours: PositiveInt


class GoldSettings(Settings):
    """How far consolidation looks for rows that exist, in days of event time."""

    locate_window_days: PositiveInt
    dispute_horizon_days: PositiveInt


class AuditSettings(Settings):
    """Days of time travel: `audit` for Gold and policies, `working` for fast-moving tables."""

    horizon_days: PositiveInt
    working_days: PositiveInt


class HotSettings(Settings):
    """Which payments Gold serves, in days of event time: any one of the three is enough."""

    days: PositiveInt  # since it was made
    score_from: Annotated[Decimal, Field(ge=0, le=1)]
    scored_days: PositiveInt  # since it was made, for one with such a score
    disputed_days: PositiveInt  # since its money moved last, while a dispute of it is open


class FolderOfHeads(Settings):
    """Signed heads as files that are never overwritten, on this machine."""

    store: Literal["folder"]
    location: Location


class BucketOfHeads(Settings):
    """Signed heads as objects of an S3 bucket with Object Lock: nobody can change one for so long.

    `endpoint_url: null` is the service of the region.
    """

    store: Literal["s3"]
    bucket: str
    prefix: str
    region: str
    endpoint_url: HttpUrl | None
    lock_days: PositiveInt


class HistorySettings(Settings):
    """Tamper evidence: the key that signs heads of the chain, and a place of their own for them."""

    signing_key: SecretRef
    heads: Annotated[FolderOfHeads | BucketOfHeads, Field(discriminator="store")]


class MaintenanceSettings(Settings):
    """Which partitions are compacted: with so many files below half the target, so many a run."""

    target_file_mb: PositiveInt
    small_files: Annotated[int, Field(ge=2)]
    partitions_per_run: PositiveInt


class DynamoDbSettings(Settings):
    """The serving store; `endpoint_url: null` is the service of the region.

    The live group keeps an item for `retention_days`, Gold as long as it is `hot`.
    Attempts are those of one request: `push_attempts` of a job, for which throttling may pass,
    `read_attempts` while a person waits.
    """

    endpoint_url: HttpUrl | None
    region: str
    table: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{3,255}$")]
    retention_days: PositiveInt
    hot: HotSettings
    writers: PositiveInt
    push_attempts: PositiveInt
    read_attempts: PositiveInt


class CatalogSettings(Settings):
    """Where analysts find tables and views: Glue databases, asked by Athena.

    A database is `database_prefix` and a layer. `results: null` leaves the place of answers to the
    workgroup. `endpoint_url: null` is the services of the region.
    """

    region: str
    endpoint_url: HttpUrl | None
    database_prefix: Annotated[str, Field(pattern="^([a-z][a-z0-9_]{0,63})?$")]
    workgroup: str
    results: Annotated[str, Field(pattern="^s3://")] | None
    view_seconds: PositiveInt


class LeaseSettings(Settings):
    """The single-writer lease: files on one machine, a DynamoDB table in a cloud account."""

    store: Literal["file", "dynamodb"]
    location: str
    seconds: PositiveInt

    @field_validator("location")
    @classmethod
    def _resolve_folder(cls, value: str, info: ValidationInfo) -> str:
        return _beside_config(value) if info.data.get("store") == "file" else value


class FiguresInFile(Settings):
    """Metrics in a file below `lake.root`: for so many days, those of fraud scores longer."""

    store: Literal["file"]
    keep_days: PositiveInt
    keep_score_days: PositiveInt


class FiguresInCloudWatch(Settings):
    """Metrics in CloudWatch; `endpoint_url: null` is the service of the region.

    `dimensions` are on every metric, beside the subject's own.
    """

    store: Literal["cloudwatch"]
    namespace: Annotated[str, Field(pattern="^[A-Za-z0-9_./#-]{1,255}$")]
    dimensions: Mapping[str, str]
    region: str
    endpoint_url: HttpUrl | None


class MetricsSettings(Settings):
    """Where figures go: every so many seconds, from a queue of so many."""

    to: Annotated[FiguresInFile | FiguresInCloudWatch, Field(discriminator="store")]
    flush_seconds: float = Field(gt=0)
    queue_points: PositiveInt


class TerminalChannel(Settings):
    """Alerts on standard error of whoever checks."""

    channel: Literal["terminal"]


class SnsChannel(Settings):
    """Alerts to a topic; `endpoint_url: null` is the service of the region."""

    channel: Literal["sns"]
    topic_arn: Annotated[str, Field(pattern="^arn:aws[a-z-]*:sns:")]
    region: str
    endpoint_url: HttpUrl | None


class PagerDutyChannel(Settings):
    """Alerts as incidents, by the Events API, version 2."""

    channel: Literal["pagerduty"]
    url: HttpUrl
    routing_key: SecretRef


ChannelSettings = Annotated[
    TerminalChannel | SnsChannel | PagerDutyChannel, Field(discriminator="channel")
]


class AlertSettings(Settings):
    """Episodes, in a file below `lake.root` or in a DynamoDB `table`, and who is told of them.

    `scheduled` says that something starts the jobs: then a job that was not started, or a run that
    says nothing any more, is an alert. An episode ends when its rule has held for `sound_minutes`.
    One that lasts is told again after each `repeat_hours`; what a channel does not take is tried
    for `keep_unsent_hours`.
    """

    scheduled: bool
    store: Literal["file", "dynamodb"]
    table: Annotated[str, Field(pattern="^[A-Za-z0-9_.-]{3,255}$")] | None
    runbook: Annotated[str, Field(min_length=1)]  # a path or an address; `#RULE` is added
    sound_minutes: PositiveInt
    repeat_hours: PositiveInt
    keep_unsent_hours: PositiveInt
    channels: tuple[ChannelSettings, ...]

    @field_validator("table")
    @classmethod
    def _is_named(cls, value: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("store") == "dynamodb" and value is None:
            raise ValueError("store: dynamodb needs the name of a table")
        return value

    @field_validator("channels")
    @classmethod
    def _is_unique(cls, value: tuple[ChannelSettings, ...]) -> tuple[ChannelSettings, ...]:
        names = [each.channel for each in value]
        if len(set(names)) < len(names):
            raise ValueError("expected each channel once")
        return value


class RuleFiles(Settings):
    """The data files that decide: who wins, what is legal, which reason, action, region; views."""

    precedence: Location
    transitions: Location
    decision: Location
    regions: Location
    quality: Location
    views: Location
    alerts: Location


class KafkaService(Settings):
    """The broker on this machine: one KRaft process."""

    port: Port
    controller_port: Port
    heap_mb: PositiveInt
    partitions: PositiveInt


class DynamoDbService(Settings):
    """DynamoDB Local: in memory it forgets all at its end, on disk it syncs a file per item."""

    port: Port
    heap_mb: PositiveInt
    in_memory: bool


class ScoringService(Settings):
    """The scoring service on this machine."""

    port: Port


class Services(Settings):
    """Services that `lakehouse services` starts; absent where the cloud has them."""

    kafka: KafkaService
    dynamodb: DynamoDbService
    scoring: ScoringService
    startup_timeout_seconds: PositiveInt


class Applications(Settings):
    """Ids of the EMR Serverless applications."""

    streaming: str
    batch: str


class JobSize(Settings):
    """Spark on EMR Serverless: cores and GB of a driver and of an executor, how many of those."""

    driver_cores: PositiveInt
    driver_gb: PositiveInt
    executor_cores: PositiveInt
    executor_gb: PositiveInt
    least_executors: PositiveInt
    most_executors: PositiveInt


class DeploySettings(Settings):
    """How jobs run in an account: `artifacts` holds code and jars, a role is prefix and job."""

    applications: Applications
    artifacts: Annotated[str, Field(pattern="^s3://[^/ ]+(/[^ ]+)?[^/ ]$")]
    config: Annotated[str, Field(pattern=r"^[\w.-]+\.yaml$")]
    role_prefix: Annotated[str, Field(pattern="^arn:aws[a-z-]*:iam::[^ ]+$")]
    log_group: str
    alerts_topic_arn: str
    batch_minutes: PositiveInt
    jars: tuple[str, ...]
    sizes: dict[Literal["streaming", "batch"], JobSize]
    spark: Annotated[
        dict[str, Annotated[SparkValue, AfterValidator(_word)]], AfterValidator(_endpoints_checked)
    ]


def _require_folder(store: str, info: ValidationInfo) -> None:
    lake: LakeSettings | None = info.data.get("lake")
    if store == "file" and lake is not None and "://" in lake.root:
        raise ValueError(
            f"store: file is a file below lake.root, and {lake.root} is no folder of this"
            " machine; choose another store (conf/aws.yaml has one)"
        )


class Config(BaseSettings):
    """All settings of a run."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        env_parse_none_str="null",
    )

    lake: LakeSettings
    spark: SparkSettings
    kafka: KafkaSettings
    trigger: TriggerSettings
    ingest: IngestSettings
    cards: CardSettings
    scoring: ScoringSettings
    money: MoneySettings
    gold: GoldSettings
    audit: AuditSettings
    history: HistorySettings
    maintenance: MaintenanceSettings
    dynamodb: DynamoDbSettings
    catalog: CatalogSettings | None
    lease: LeaseSettings
    metrics: MetricsSettings
    alerts: AlertSettings
    rules: RuleFiles
    services: Services | None
    deploy: DeploySettings | None

    @field_validator("metrics")
    @classmethod
    def _figures_have_a_folder(
        cls, value: MetricsSettings, info: ValidationInfo
    ) -> MetricsSettings:
        _require_folder(value.to.store, info)
        return value

    @field_validator("alerts")
    @classmethod
    def _alerts_have_a_folder(cls, value: AlertSettings, info: ValidationInfo) -> AlertSettings:
        _require_folder(value.store, info)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  the library names them
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file; read nothing else."""
        return env_settings, init_settings

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read, override, check.

        Raises:
            ConfigError: the file is absent or not YAML, a key is unknown, a value is wrong; a wrong
                override is named by its variable.
        """
        source = Path(path).resolve()
        values = read_yaml(source)
        _refuse_unknown_overrides(cls)
        token = _config_folder.set(source.parent)
        try:
            return cls(**values)
        except ValidationError as error:
            raise _named_by_origin(source, error) from None
        except SettingsError as error:
            raise ConfigError(_ENVIRONMENT, _unreadable_overrides(str(error))) from None
        finally:
            _config_folder.reset(token)


def read_yaml(path: Path | str) -> dict[str, Any]:
    """Read one YAML mapping.

    Raises:
        ConfigError: the file is absent, is not YAML, has a key twice, or is not a mapping.
    """
    source = Path(path)
    try:
        # a SafeLoader: it makes plain values and nothing else
        values = yaml.load(source.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except FileNotFoundError:
        raise ConfigError(source, ["no such file"]) from None
    except OSError as error:
        raise ConfigError(source, [f"cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError(source, ["expected UTF-8 text"]) from None
    except yaml.YAMLError as error:
        raise ConfigError(source, [f"not YAML: {_not_yaml(error)}"]) from None
    except (ValueError, AttributeError):
        # PyYAML makes days and tagged numbers by Python's own functions, which repeat the text
        raise ConfigError(source, ["not YAML: a day or a tagged number that is none"]) from None
    if not isinstance(values, dict):
        raise ConfigError(source, ["expected a mapping of sections"])
    return values


def _not_yaml(error: yaml.YAMLError) -> str:
    """What is wrong, and in which line; what stands there may be a secret."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    marks = ((error.context, error.context_mark), (error.problem, error.problem_mark))
    told = [f"{what}, in line {mark.line + 1}" for what, mark in marks if what and mark]
    # what may stand behind these words is the file's own
    return "; ".join(re.sub(r"(alias|anchor|tag|handle) ['\"].*(, in)", r"\1\2", t) for t in told)


class _UniqueKeys(yaml.SafeLoader):
    """Refuses a mapping that has a key twice: YAML would keep the last, and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping of a node."""
        names = [key.value for key, _ in node.value]
        for key, _ in node.value:
            if names.count(key.value) > 1:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"the key {key.value} is there twice, first in line {line}")
        return super().construct_mapping(node, deep)


_UNTOLD = (
    "missing", "extra_forbidden", "value_error",
    "model_type", "model_attributes_type", "dict_type", "mapping_type", "tuple_type",
)  # fmt: skip


def problems_of(error: ValidationError) -> list[str]:
    """Name each wrong key and what was expected; what stands there if it can be no secret."""
    return [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" + _instead(fault)
        for fault in error.errors(include_url=False)
    ]


def _instead(fault: Mapping[str, Any]) -> str:
    # a check of our own says what it wants, and never repeats a secret that was written out; in a
    # section, or in its place, one may stand
    is_single = isinstance(fault["input"], str | int | float | None)
    return f", got {fault['input']!r}" if is_single and fault["type"] not in _UNTOLD else ""


def _named_by_origin(source: Path, error: ValidationError) -> ConfigError:
    """Tell wrong values of the file by their key, and wrong overrides by their variable."""
    problems, in_file = [], False
    for fault, problem in zip(error.errors(include_url=False), problems_of(error), strict=True):
        variable = _override_of([str(part) for part in fault["loc"]])
        in_file |= variable is None
        problems.append(f"{variable}: {problem}" if variable else problem)
    return ConfigError(source if in_file else _ENVIRONMENT, problems)


def _override_of(place: Sequence[str]) -> str | None:
    """The variable that set this key, something inside it, or a section around it."""
    names = ["__".join(place[:depth]).upper() for depth in range(len(place), 0, -1)]
    variables = {name.upper().removeprefix(ENV_PREFIX): name for name in os.environ}
    inside = [name for name in variables if name.startswith(f"{names[0]}__")]
    found = (variables[name] for name in (*names, *inside) if name in variables)
    return next(found, None)


def _unreadable_overrides(message: str) -> list[str]:
    """The library names the section only: name its variables that cannot be what it asks for."""
    section = re.findall(r'"(\w+)"', message)[:1]
    prefix = ENV_PREFIX + "".join(section).upper()
    variables = [name for name in os.environ if name.upper().startswith(prefix)]
    unreadable = [name for name in variables if not _is_json(os.environ[name])]
    return [f"{name}: expected JSON for a section or a list" for name in unreadable or [prefix]]


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _refuse_unknown_overrides(settings: type[Config]) -> None:
    for variable in os.environ:
        section = variable.removeprefix(ENV_PREFIX).partition("__")[0].lower()
        if variable.startswith(ENV_PREFIX) and section not in settings.model_fields:
            known = ", ".join(settings.model_fields)
            problem = f"{variable}: no section {section!r}; expected one of {known}"
            raise ConfigError(_ENVIRONMENT, [problem])
