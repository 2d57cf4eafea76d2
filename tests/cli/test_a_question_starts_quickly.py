"""A command that asks a question has Java start for seconds, unless the environment says how."""

from __future__ import annotations

import os

import pytest

from lakehouse.cli.brief import BRIEF, be_brief


@pytest.mark.parametrize("given, told", [(None, BRIEF), ("-Xint", "-Xint")])
def test_a_question_is_brief(monkeypatch: pytest.MonkeyPatch, given: str | None, told: str) -> None:
    monkeypatch.delenv("SPARK_SUBMIT_OPTS", raising=False)
    if given:
        monkeypatch.setenv("SPARK_SUBMIT_OPTS", given)
    be_brief()
    assert os.environ["SPARK_SUBMIT_OPTS"] == told
