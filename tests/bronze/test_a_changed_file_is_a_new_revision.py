"""The manifest: what a file's content is to what was known of its path."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from bronze.landing import LandedFile
from bronze.manifest import Content, Entry, Judgement, Manifest, Pending

PATH = "policies/date=2026-03-08/a.csv"


def a_file(size: int = 10, modified_ms: int = 1000) -> LandedFile:
    return LandedFile("policies", date(2026, 3, 8), "a.csv", "file:/a.csv", size, modified_ms)


def an_entry(sha: str = "A", revision: int = 0, **changes: Any) -> Entry:
    known = Entry(Content(PATH, sha, revision), 10, 1000, 7, "LOADED", None)
    return known._replace(**changes)


def manifest(*entries: Entry) -> Manifest:
    return Manifest(frozenset(entries))


@pytest.mark.parametrize(
    ("entries", "landed", "sha", "revision"),
    [
        pytest.param([], [], "A", 0, id="first"),
        pytest.param([an_entry("A")], [], "A", 0, id="the same"),
        pytest.param([an_entry("A")], [], "B", 1, id="changed"),
        pytest.param([an_entry("A"), an_entry("B", 1)], [], "A", 2, id="changed back"),
        pytest.param([], [Content(PATH, "A", 0)], "A", 0, id="landed, not written down"),
        pytest.param([], [Content(PATH, "A", 0)], "B", 1, id="landed, then changed"),
        pytest.param([], [Content("other", "A", 0)], "B", 0, id="another path"),
    ],
)
def test_revision(entries: list[Entry], landed: list[Content], sha: str, revision: int) -> None:
    assert manifest(*entries).content_of(PATH, sha, landed) == Content(PATH, sha, revision)


@pytest.mark.parametrize(
    ("entries", "file", "settled"),
    [
        pytest.param([], a_file(), False, id="unknown"),
        pytest.param([an_entry()], a_file(), True, id="loaded"),
        pytest.param([an_entry()], a_file(size=11), False, id="other size"),
        pytest.param([an_entry()], a_file(modified_ms=1001), False, id="touched"),
        pytest.param([an_entry(verdict="HELD")], a_file(), False, id="held"),
        pytest.param(
            [an_entry(verdict="HELD"), an_entry()], a_file(), True, id="held, then loaded"
        ),
        pytest.param(
            [an_entry(), an_entry("B", 1, verdict="HELD")], a_file(), False, id="newer held"
        ),
    ],
)
def test_only_a_loaded_untouched_file_is_settled(
    entries: list[Entry], file: LandedFile, settled: bool
) -> None:
    assert manifest(*entries).is_settled(file) is settled


@pytest.mark.parametrize(
    ("entries", "sha", "touched"),
    [
        pytest.param([an_entry("A")], "A", True, id="same content"),
        pytest.param([an_entry("A")], "B", False, id="other content"),
        pytest.param([an_entry("A"), an_entry("B", 1)], "A", False, id="put back"),
        pytest.param([an_entry("A", verdict="HELD")], "A", False, id="not loaded yet"),
        pytest.param([], "A", False, id="unknown"),
    ],
)
def test_a_touched_file_is_written_down_as_it_looks_now(
    entries: list[Entry], sha: str, touched: bool
) -> None:
    file = a_file(modified_ms=2000)
    found = manifest(*entries).touched(file, sha)
    expected = Judgement(Pending(file, Content(PATH, "A", 0)), 7, None)
    assert found == (expected if touched else None)


def test_a_reason_is_written_down_once() -> None:
    known = manifest(an_entry(verdict="HELD", reason="too few rows"))
    pending = Pending(a_file(), Content(PATH, "A", 0))
    assert known.says(Judgement(pending, 1, "too few rows"))
    assert not known.says(Judgement(pending, 1, "too many rows"))
    assert not known.says(Judgement(pending, 1, None))
