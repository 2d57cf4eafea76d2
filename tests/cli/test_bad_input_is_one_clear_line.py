"""What a person gets wrong: one line that says what to do, and an exit code that says whose."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pytest import param

from tests.cli.processes import lakehouse
from tests.conftest import LOCAL

NOBODY = "00000000-0000-4000-8000-000000000000"
USAGE, FAILURE = 2, 1


@pytest.mark.parametrize(
    "words, overrides, code, told",
    [
        param(["nope"], {}, USAGE, "No such command 'nope'", id="a command"),
        param(["status", "--nope"], {}, USAGE, "No such option: --nope", id="an option"),
        param(["run", "nope"], {}, USAGE, "Jobs: audit, build_batch,", id="a job"),
        param(["lookup", "a"], {}, USAGE, "'a' is not a UUID", id="no transaction id"),
        param(["lookup"], {}, USAGE, "or --user ID", id="nothing to look up"),
        param(["lookup", NOBODY, "--user", "u"], {}, USAGE, "or --user ID", id="two to look up"),
        param(["lookup", "--user", " "], {}, USAGE, "got a blank", id="a blank user"),
        param(["lookup", "--user", "u", "--since", "9 Mar"], {}, USAGE, "a day nor", id="a time"),
        param(
            ["lookup", "--user", "u", "--since", "2026-03-09T08:00:00"],
            {},
            USAGE,
            "with an offset",
            id="a time without an offset",
        ),
        param(
            ["lookup", "--user", "u"],
            {"DYNAMODB__ENDPOINT_URL": "http://127.0.0.1:1"},
            FAILURE,
            "no answer from http://127.0.0.1:1",
            id="DynamoDB is down, for a user",
        ),
        param(["explain", "a"], {}, USAGE, "'a' is not a UUID", id="no id to explain"),
        param(["query", "SELECT 1", "--limit", "-1"], {}, USAGE, "--limit", id="a negative limit"),
        param(["report", "--out", "nowhere/r"], {}, USAGE, "no folder nowhere", id="no folder"),
        param(["report", "--as-of", "9 Mar"], {}, USAGE, "a day nor", id="no time to report of"),
        param(["drops", "release", "x", "--reason", " "], {}, USAGE, "a blank", id="no reason"),
        param(["drops", "list", "--verdict", "x"], {}, USAGE, "'held'", id="no verdict"),
        param(["drops", "list"], {}, FAILURE, "lakehouse run load_drops", id="no drop yet"),
        param(["generate", "--to", "x"], {}, USAGE, "kafka, landing or both", id="a target"),
        param(["generate", "--transactions", "0"], {}, USAGE, "transactions", id="a number"),
        param(["status", "--config", "/nowhere"], {}, USAGE, "no such file", id="no config"),
        param(["status", "--config", "conf"], {}, USAGE, "directory", id="a folder"),
        param(
            ["status"],
            {"GOLD__LOCATE_WINDOW_DAYS": "x"},
            USAGE,
            "environment: LAKEHOUSE__GOLD__LOCATE_WINDOW_DAYS: ",
            id="a wrong override",
        ),
        param(
            ["services", "start"],
            {"SERVICES__KAFKA__PORT": "29091"},
            USAGE,
            "LAKEHOUSE__KAFKA__BOOTSTRAP_SERVERS",
            id="a broker that nobody finds",
        ),
        param(
            ["lookup", NOBODY],
            {"DYNAMODB__ENDPOINT_URL": "http://127.0.0.1:1"},
            FAILURE,
            "no answer from http://127.0.0.1:1",
            id="DynamoDB is down",
        ),
        param(
            ["generate", "--to", "kafka", "--transactions", "5"],
            {"KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"},
            FAILURE,
            "no Kafka broker answers at 127.0.0.1:1",
            id="Kafka is down",
        ),
    ],
)
def test_a_fault_is_one_line_and_an_exit_code(
    words: list[str], overrides: dict[str, str], code: int, told: str, tmp_path: Path
) -> None:
    ended = lakehouse(*words, overrides=overrides | {"LAKE__ROOT": str(tmp_path)})
    assert ended.returncode == code
    errors = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert told in errors[0]
    assert "Traceback" not in ended.stderr + ended.stdout
    assert not ended.stdout


def test_debug_shows_the_stack_trace_wherever_it_stands() -> None:
    ended = lakehouse("lookup", NOBODY, "--config", "/nowhere", "--debug")
    assert "Traceback" in ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("error: /nowhere: no such file")
    assert ended.returncode == USAGE


def test_what_is_under_way_does_not_stand_in_the_json(tmp_path: Path) -> None:
    ended = lakehouse("services", "stop", "--json", overrides={"LAKE__ROOT": str(tmp_path)})
    assert {service["state"] for service in json.loads(ended.stdout)} == {"stopped"}
    assert ended.stderr.startswith("- ")


def test_a_config_that_is_no_text_is_named(tmp_path: Path) -> None:
    binary = tmp_path / "conf.yaml"
    binary.write_bytes(LOCAL.read_bytes() + b"# \xff\n")
    ended = lakehouse("status", "--config", str(binary))
    assert ended.stderr == f"error: {binary}: expected UTF-8 text\n"
