"""docs/deploy.md, command by command: what one uses an earlier one has made, and each exists."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Context
from typer.main import get_command

from lakehouse.cli import app
from lakehouse.cli.feeding import keyed
from lakehouse.config import Config
from lakehouse.records.silver import LiveTransaction
from tests.conftest import ROOT
from tests.deployment.policies import template

TEXT = (ROOT / "docs" / "deploy.md").read_text()
STEPS = TEXT[: TEXT.index("## When a day fails")]
BLOCKS = re.findall(r"```console\n(.*?)```", STEPS, flags=re.DOTALL)
BROKERS = "b-1.example:9098,b-2.example:9098"
TEMPLATES = sorted(path.stem for path in (ROOT / "deploy").glob("*.yaml"))


def _commands() -> list[str]:
    """The commands of all steps in their order, each on one line."""
    joined = "".join(BLOCKS).replace("\\\n", " ")
    return [" ".join(line.split()) for line in joined.splitlines() if line.strip()]


def _without_inner(command: str) -> str:
    """A command with what its shell puts in taken for a value."""
    before = ""
    while before != command:
        before, command = command, re.sub(r"[$<]\([^()]*\)", "VALUE", command)
    return command


def _puts() -> dict[str, tuple[int, set[str]]]:
    """By stack: at which command it is made, and the parameters that it is given."""
    found = {}
    for place, command in enumerate(_commands()):
        words = _without_inner(command.partition(" # ")[0]).split()
        if "put" in words[:2]:
            name = words[words.index("put") + 1]
            given = words[words.index("--parameter-overrides") + 1 :] if "=" in command else []
            found[name] = (place, {word.partition("=")[0] for word in given if "=" in word})
    return found


PUTS = _puts()


def _at(part: str) -> int:
    """The first command that has this part."""
    return next(place for place, command in enumerate(_commands()) if part in command)


def test_each_template_is_deployed_once_and_each_that_is_deployed_exists() -> None:
    assert sorted(PUTS) == TEMPLATES
    assert sum(len(re.findall(r"\bput [a-z]", command)) for command in _commands()) == len(PUTS)


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_is_given_each_parameter_that_has_no_default_and_no_other(name: str) -> None:
    parameters = template(f"{name}.yaml").get("Parameters", {})
    needed = {each for each, said in parameters.items() if "Default" not in said}
    _, given = PUTS[name]
    assert needed <= given <= set(parameters)


def test_an_output_is_one_of_a_stack_that_was_made_before() -> None:
    seen = 0
    for place, command in enumerate(_commands()):
        for stack, output in re.findall(r"\$\(out (\w+) (\w+)\)", command):
            seen += 1
            assert PUTS[stack][0] < place, command
            assert output in template(f"{stack}.yaml")["Outputs"], command
    assert seen > 40


def test_the_package_topics_and_tables_stand_before_what_needs_them() -> None:
    uploaded, streams = _at("aws s3 cp --recursive dist"), PUTS["day"][0]
    for later in (PUTS["admin"][0], PUTS["alerts"][0], _at("deploy jobs create_tables")):
        assert uploaded < later
    # the schedule of this stack starts streams within five minutes
    assert _at("topics create") < streams
    assert _at("deploy jobs create_tables") < _at("start-job-run") < streams
    # a job has the right to log, none to make where
    group = template("compute.yaml")["Resources"]["JobLogs"]["Properties"]["LogGroupName"]
    assert group == Config.load(ROOT / "conf" / "aws.yaml").deploy.log_group  # type: ignore[union-attr]
    assert PUTS["compute"][0] < _at("start-job-run")


def test_the_config_that_the_step_makes_has_no_name_in_capitals_left(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    for each in (ROOT / "conf").glob("*.yaml"):
        (tmp_path / "conf" / each.name).write_text(each.read_text())
    (block,) = [each for each in BLOCKS if "sed -i" in each]
    # as if the account answered: stacks by what was asked for, the account by its number
    answers = 'out() { echo "of-$1-$2" | tr "[:upper:]" "[:lower:]"; }\n'
    answers += f'aws() {{ [ "$1" = kafka ] && echo {BROKERS} || echo 111122223333; }}\n'
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"R=eu-central-1\n{answers}{block}"],
        cwd=tmp_path, check=True, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    made = Config.load(tmp_path / "conf" / "aws.yaml")
    assert made.kafka.bootstrap_servers == BROKERS
    assert made.lake.root == "s3a://of-storage-lakebucket/lakehouse"
    assert made.scoring.url == "https://scores.example.com/score"
    assert made.deploy and made.deploy.role_prefix == "arn:aws:iam::111122223333:role/lakehouse-"
    values = json.dumps(yaml.safe_load((tmp_path / "conf" / "aws.yaml").read_text()))
    assert not re.findall(r"\b(?:[A-Z]+(?:_[A-Z]+)+|BUCKET|ACCOUNT)\b", values)


def test_the_first_payment_is_one_of_the_contract() -> None:
    line = next(each for each in "".join(BLOCKS).splitlines() if each.startswith('{"event_id"'))
    said = re.sub(r"\$\([^()]*\)|\$T", "x", line)
    assert [key for key, _ in keyed([said])] == ["x"]
    payment = json.loads(said)
    # what a decided payment keeps of its event, under the same names
    assert set(payment) <= set(LiveTransaction.model_fields) | {"event_id"}
    assert {"event_id", "user_id", "timestamp", "amount", "currency", "country"} < set(payment)
    assert "%FT%TZ" in line, "an old day would be late, and a fixed one soon is"


def test_prices_are_said_to_be_assumptions_of_a_day_and_a_region() -> None:
    prices = yaml.safe_load((ROOT / "bench" / "prices.yaml").read_text())
    costs = TEXT[TEXT.index("## What it costs") :]
    assert "assumptions" in costs.partition("|")[0]
    for fact in ("region", "currency", "typed_in"):
        assert str(prices[fact]) in costs.partition("|")[0]


DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "SECURITY.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(path for layer in ("lakehouse", "bronze", "silver", "gold")
            for path in (ROOT / layer).rglob("*.py")),
    *sorted((ROOT / "deploy").glob("*.yaml")),
]  # fmt: skip


def _lines_of(path: Path) -> Iterator[list[str]]:
    text = path.read_text()
    inline = re.findall(r"`lakehouse ([a-z][^`\n]*)`", text)
    typed = re.findall(r"^(?:\$ )?lakehouse ([a-z][^|>#\n]*)", text, flags=re.MULTILINE)
    served = re.findall(r"/bin/lakehouse ([a-z][^|>#\n]*)", text)
    for line in (*inline, *(typed if path.suffix == ".md" else ()), *served):
        try:
            yield shlex.split(line)
        except ValueError:
            yield line.split()


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_command_line_that_is_named_exists_with_its_options(path: Path) -> None:
    for words in _lines_of(path):
        # of "JOB|OTHER" each: a command that is one of several stands for all of them
        command: Any = get_command(app)
        for word in words:
            if word.startswith("-") and word != "-":
                known = {name for each in command.params for name in each.opts}
                assert word.partition("=")[0] in known | {"--help", "--debug"}, words
            elif hasattr(command, "get_command") and re.fullmatch(r"[a-z_-]+(\|[a-z_-]+)*", word):
                found = [command.get_command(Context(command), one) for one in word.split("|")]
                assert all(found), words
                command = found[0]
            elif hasattr(command, "get_command"):
                break  # JOB, or what else stands for several
