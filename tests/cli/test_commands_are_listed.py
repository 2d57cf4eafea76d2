"""`--help` says what there is, and costs no Spark."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from lakehouse.cli import app
from lakehouse.job import job_names
from tests.conftest import ROOT

# what takes long to import, and what only the generator needs
SLOW = ("pyspark", "delta", "lakehouse.local.generator")
COLD = """
import sys
from lakehouse.cli import app
try:
    app({words!r}, standalone_mode=False)
except Exception:
    pass
print([name for name in {slow!r} if name in sys.modules], file=sys.stderr)
"""


def helped(*words: str) -> str:
    shown = CliRunner().invoke(app, [*words, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0
    return shown.output


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["lookup", "00000000-0000-4000-8000-000000000000"],
        ["services", "status"],
    ],
    ids=" ".join,
)
def test_a_quick_command_imports_nothing_slow(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKEHOUSE__DYNAMODB__ENDPOINT_URL", "http://127.0.0.1:1")
    ended = subprocess.run(
        [sys.executable, "-c", COLD.format(words=words, slow=SLOW)],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert ended.stderr.splitlines()[-1] == "[]"


def test_run_lists_every_job() -> None:
    assert [name for name in job_names() if name not in helped("run")] == []


def test_a_job_shows_its_own_options_as_they_are_declared() -> None:
    audit = helped("run", "audit")
    assert "--json" in audit and "A report for programs." in audit
    assert "--as-json" not in audit


def test_debug_stands_in_the_help() -> None:
    assert "--debug" in helped()
