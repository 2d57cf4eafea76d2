"""A wrong configuration is named, key and file, and nothing starts."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from pytest import param

from lakehouse.config import Config
from lakehouse.errors import ConfigError
from lakehouse.secret_stores import secret
from tests.conftest import LOCAL, ROOT


def _changed(folder: Path, section: str, change: dict[str, object]) -> Path:
    """The local configuration with other values in one section."""
    values = yaml.safe_load(LOCAL.read_text())
    values[section] |= change
    file = folder / "broken.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


@pytest.mark.parametrize("name", ["local.yaml", "aws.yaml"])
def test_each_config_file_is_complete(name: str) -> None:
    assert Config.load(ROOT / "conf" / name).kafka.topics.transactions == "payments.transactions"


def test_relative_paths_start_at_the_config_file() -> None:
    assert Config.load(LOCAL).lake.root == str(ROOT / ".lakehouse")


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE__MONEY__MAX_RATE_AGE_DAYS", "3")
    money = Config.load(LOCAL).money
    assert (money.max_rate_age_days, money.base_currency) == (3, "EUR")


@pytest.mark.parametrize(
    "section, change, told",
    [
        param("gold", {"locate_window_dayz": 7}, "gold.locate_window_dayz", id="unknown key"),
        param("gold", {"locate_window_days": 0}, "greater than 0, got 0", id="wrong value"),
        param("gold", {"locate_window_days": "x"}, "valid integer", id="wrong kind"),
        param("cards", {"token_key": "hunter2"}, "named, never written", id="a written secret"),
    ],
)
def test_a_wrong_key_or_value_is_named(
    tmp_path: Path, section: str, change: dict[str, object], told: str
) -> None:
    broken = _changed(tmp_path, section, change)
    with pytest.raises(ConfigError, match=told) as fault:
        Config.load(broken)
    assert str(broken) in str(fault.value)


@pytest.mark.parametrize(
    "variable", ["LAKEHOUSE__GOLDD__LOCATE_WINDOW_DAYS", "LAKEHOUSE__GOLD__LOCATE_DAYS"]
)
def test_an_override_of_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "3")
    with pytest.raises(ConfigError, match=r"(?i)goldd|locate_days"):
        Config.load(LOCAL)


@pytest.mark.parametrize(
    "variable, value, told",
    [
        param("GOLD__LOCATE_WINDOW_DAYS", "0", "greater than 0, got '0'", id="wrong value"),
        param("GOLD", "no json", "expected JSON", id="a section that is no JSON"),
        param("SPARK__SETTINGS", "x", "expected JSON", id="a mapping that is no JSON"),
        param("LAKE__ROOT__X", "3", "valid string", id="a key inside a value"),
        param("SCORING__URL", "nowhere", "https://HOST:PORT", id="no address"),
        param("SCORING__TOTAL_DEADLINE_SECONDS", "2", "at least connect", id="no time to answer"),
        param("DYNAMODB__ENDPOINT_URL", "http://here:99999", "https://HOST:PORT", id="no port"),
    ],
)
def test_a_wrong_override_is_named_by_its_variable_and_not_by_the_file(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    monkeypatch.setenv(f"LAKEHOUSE__{variable}", value)
    with pytest.raises(ConfigError, match=told) as fault:
        Config.load(LOCAL)
    assert str(fault.value).startswith(f"environment: LAKEHOUSE__{variable}: ")
    assert str(LOCAL) not in str(fault.value)


def test_an_override_can_say_null(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE__SCORING__URL", "null")
    assert Config.load(LOCAL).scoring.url is None


def test_a_secret_that_was_written_out_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAKEHOUSE__CARDS__TOKEN_KEY", "hunter2")
    with pytest.raises(ConfigError, match="named, never written") as fault:
        Config.load(LOCAL)
    assert "hunter2" not in str(fault.value)


SCRAM = {"user": "env:U", "password": "hunter2"}


@pytest.mark.parametrize(
    "section, change, told",
    [
        param("kafka", {"sign_in": SCRAM}, "kafka.sign_in: .*mechanism", id="no mechanism"),
        param("kafka", {"sign_in": SCRAM | {"mechanism": "scram"}}, "never written", id="scram"),
        param("kafka", {"sign_in": "u:hunter2"}, "kafka.sign_in: ", id="in a section's place"),
        param("kafka", {"sign_in": [SCRAM]}, "kafka.sign_in: ", id="a list"),
        param("cards", {"token_key": {"is": "hunter2"}}, "never written", id="a mapping"),
        param(
            "alerts", {"channels": {"channel": "pagerduty", "routing_key": "hunter2"}},
            "alerts.channels: ", id="a channel that is no list",
        ),
        param(
            "alerts", {"channels": [{"channel": "pagerduty", "routing_key": "hunter2"}]},
            "never written", id="a channel",
        ),
        param("cards", {"token_key": 4815162342}, "never written", id="digits"),
        param(
            "spark", {"settings": {"spark.hadoop.fs.s3a.secret.key": 4815162342}},
            "expected a text", id="a setting of Spark",
        ),
        param("spark", {"settings": "hunter2"}, "spark.settings: ", id="settings that are none"),
    ],
)  # fmt: skip
def test_no_fault_of_a_config_repeats_what_may_be_a_secret(
    tmp_path: Path, section: str, change: dict[str, object], told: str
) -> None:
    broken = _changed(tmp_path, section, change)
    with pytest.raises(ConfigError, match=told) as fault:
        Config.load(broken)
    assert not {"hunter2", "4815162342"} & set(re.findall(r"\w+", str(fault.value)))


def test_a_setting_of_spark_in_an_account_is_one_word_and_is_not_repeated(tmp_path: Path) -> None:
    values = yaml.safe_load((ROOT / "conf" / "aws.yaml").read_text())
    values["deploy"]["spark"]["spark.hadoop.fs.s3a.secret.key"] = "hunter2 or so"
    broken = tmp_path / "broken.yaml"
    broken.write_text(yaml.safe_dump(values))
    with pytest.raises(ConfigError, match=r"s3a\.secret\.key: .*without spaces") as fault:
        Config.load(broken)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize(
    "content, told",
    [
        param('a: 1\npassword: "hunter2', "in line 2", id="an open quote"),
        param('password: "hunter2\nb: 1\n', "quoted scalar, in line 1", id="where it was opened"),
        param("a: 1\npassword: hunter2: x", "mapping values.*, in line 2", id="two colons"),
        param("password: *hunter2", "undefined alias, in line 1", id="an alias"),
        param("password: !hunter2 x", "the tag, in line 1", id="a tag"),
        param("password: !hunter2!x y", "tag handle, in line 1", id="a handle"),
        param("password: !!int hunter2", "a tagged number", id="a number that is none"),
        param("password: !!timestamp hunter2", "a tagged number", id="a time that is none"),
        param("a: 2020-13-45", "not YAML: a day", id="a day that is none"),
        param("password: {x: hunter2]", "expected ',' or '}', but got ']', in line", id="a brace"),
    ],
)
def test_a_fault_of_yaml_tells_the_line_and_not_what_stands_there(
    tmp_path: Path, content: str, told: str
) -> None:
    path = tmp_path / "conf.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=told) as fault:
        Config.load(path)
    assert "hunter2" not in str(fault.value)


@pytest.mark.parametrize(
    "content, told",
    [
        param(None, "no such file", id="absent"),
        param("a: [", "not YAML", id="not YAML"),
        param("- a", "mapping", id="a list"),
        param(b"a: \xff", "UTF-8", id="no text"),
    ],
)
def test_a_file_that_is_no_config_is_named(
    tmp_path: Path, content: str | bytes | None, told: str
) -> None:
    path = tmp_path / "conf.yaml"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=told):
        Config.load(path)


def test_files_of_figures_and_alerts_need_a_lake_in_a_folder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LAKEHOUSE__LAKE__ROOT", "s3a://bucket/lake")
    with pytest.raises(ConfigError) as refused:
        Config.load(LOCAL)
    told = str(refused.value)
    assert "metrics" in told
    assert "alerts" in told
    assert "s3a://bucket/lake is no folder of this machine" in told


def test_a_generated_secret_is_made_once_and_is_private(config: Config) -> None:
    made = secret(config.cards.token_key)
    assert secret(config.cards.token_key) == made
    assert len(made) == 64
    path = Path(config.cards.token_key.partition(":")[2])
    assert path.stat().st_mode & 0o077 == 0


def test_all_who_race_for_a_secret_read_the_same(config: Config) -> None:
    with ThreadPoolExecutor(8) as racers:
        keys = set(racers.map(secret, [config.cards.token_key] * 64))
    assert len(keys) == 1
    folder = Path(config.cards.token_key.partition(":")[2]).parent
    assert [path.name for path in folder.iterdir() if "card-token" not in path.name] == []


def test_a_secret_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CARD_TOKEN_KEY", raising=False)
    with pytest.raises(ConfigError, match="CARD_TOKEN_KEY"):
        secret("env:CARD_TOKEN_KEY")
