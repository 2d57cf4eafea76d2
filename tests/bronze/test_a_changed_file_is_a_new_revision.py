"""The manifest: what a file's content is to what was known of its path."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bronze.faults import Fault
from bronze.landing import LandedFile
from bronze.manifest import Content, Entry, Judgement, Manifest, Release
from lakehouse.errors import DropNotHeldError, DropNotReleasableError
from lakehouse.records.codes import DropFault, Verdict
from tests.conftest import NOON

PATH = "policies/date=2026-03-08/a.csv"
MISS = Fault(DropFault.CONTROL_UNMET, "too few rows")
CUT = Fault(DropFault.DAMAGED, "the file cannot be read")
OPEN = Fault(DropFault.UNFINISHED_DAY, "no mark")
REMOVED = Fault(DropFault.REMOVED, "it lies there no more")


def a_file(size: int = 10, modified_ms: int = 1000) -> LandedFile:
    return LandedFile(PATH, "file:/a.csv", size, modified_ms)


def an_entry(sha: str = "A", revision: int = 0, **changes: Any) -> Entry:
    content = Content(PATH, sha, revision)
    known = Entry(PATH, content, 10, 1000, 7, Verdict.LOADED, None, None, judged_us=revision)
    return known._replace(**changes)


def a_held(sha: str = "A", revision: int = 0, fault: Fault = MISS, **changes: Any) -> Entry:
    return an_entry(sha, revision, verdict=Verdict.HELD, fault=fault, **changes)


def a_waiting(judged_us: int) -> Entry:
    return an_entry(content=None, verdict=Verdict.WAITING, fault=OPEN, judged_us=judged_us)


def a_gone(judged_us: int) -> Entry:
    return an_entry(content=None, verdict=Verdict.GONE, fault=REMOVED, judged_us=judged_us)


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
        pytest.param([a_waiting(0)], [], "A", 0, id="waited before"),
        pytest.param([a_held("A")], [], "B", 1, id="held, then changed"),
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
        pytest.param([a_held()], a_file(), False, id="held"),
        pytest.param([a_held(), an_entry(judged_us=1)], a_file(), True, id="held, then loaded"),
        pytest.param([an_entry(), a_held("B", 1)], a_file(), False, id="newer held"),
        pytest.param([an_entry(), a_waiting(1)], a_file(), False, id="loaded, then it waited"),
        pytest.param([an_entry(), a_gone(1)], a_file(), False, id="gone, and back"),
        pytest.param([a_waiting(0)], a_file(), False, id="waiting"),
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
        pytest.param([a_held("A")], "A", False, id="not loaded yet"),
        pytest.param([a_waiting(0)], "A", False, id="waiting"),
        pytest.param([], "A", False, id="unknown"),
    ],
)
def test_a_touched_file_is_written_down_as_it_looks_now(
    entries: list[Entry], sha: str, touched: bool
) -> None:
    file = a_file(modified_ms=2000)
    found = manifest(*entries).touched(file, sha)
    expected = Judgement(file, Content(PATH, "A", 0), 7)
    assert found == (expected if touched else None)


def test_a_touched_file_stays_a_released_one() -> None:
    known = manifest(an_entry(fault=MISS, release_reason="the sender rang"))
    found = known.touched(a_file(modified_ms=2000), "A")
    assert found and (found.fault, found.release_reason) == (MISS, "the sender rang")


@pytest.mark.parametrize(
    ("entries", "fault", "said"),
    [
        pytest.param([], MISS, False, id="unknown"),
        pytest.param([a_held()], MISS, True, id="the same"),
        pytest.param([a_held()], MISS._replace(reason="too many rows"), False, id="other facts"),
        pytest.param([a_held()], None, False, id="loads now"),
        pytest.param([an_entry()], None, True, id="is loaded"),
        pytest.param(
            [a_held(fault=CUT)], CUT._replace(reason="request 2"), True, id="in other words"
        ),
        pytest.param([a_held(), a_held(fault=CUT, judged_us=1)], MISS, False, id="of long ago"),
    ],
)
def test_only_news_are_written_down(entries: list[Entry], fault: Fault | None, said: bool) -> None:
    judgement = Judgement(a_file(), Content(PATH, "A", 0), 1, fault)
    assert manifest(*entries).says(judgement) is said


@pytest.mark.parametrize(
    ("entries", "told"),
    [
        pytest.param([a_waiting(0)], "never loaded", id="waited"),
        pytest.param([a_held()], "never loaded", id="held"),
        pytest.param([an_entry("A"), a_held("B", 1)], "before stays", id="a correction was held"),
        pytest.param([an_entry(), a_waiting(1)], "before stays", id="loaded, then it waited"),
    ],
)
def test_what_was_not_loaded_and_lies_there_no_more_is_gone(
    entries: list[Entry], told: str
) -> None:
    newest = entries[-1]
    (judgement,) = manifest(*entries).gone([])
    assert judgement.verdict == Verdict.GONE
    assert judgement.fault and told in judgement.fault.reason
    assert (judgement.content, judgement.row_count) == (newest.content, newest.row_count)
    assert (judgement.file.path, judgement.file.kind) == (PATH, "policies")
    assert not manifest(*entries).gone([PATH])


@pytest.mark.parametrize("newest", [an_entry(), a_gone(1)], ids=["loaded", "gone"])
def test_what_is_loaded_or_gone_stays_so(newest: Entry) -> None:
    assert not manifest(newest).gone([])


def test_a_held_content_can_be_released() -> None:
    known = manifest(an_entry("A"), a_held("B", 1))
    assert known.release(PATH, "why") == Release(Content(PATH, "B", 1), "why")


@pytest.mark.parametrize(
    ("entries", "error", "told"),
    [
        pytest.param([], DropNotHeldError, "no file was delivered at", id="unknown"),
        pytest.param([a_held(), an_entry(judged_us=1)], DropNotHeldError, "is LOADED", id="loaded"),
        pytest.param([a_waiting(0)], DropNotHeldError, "is WAITING", id="waiting"),
        pytest.param([a_gone(0)], DropNotHeldError, "is GONE", id="gone"),
        pytest.param(
            [a_held(fault=CUT)], DropNotReleasableError, "cannot be read", id="unreadable"
        ),
    ],
)
def test_nothing_else_can(entries: list[Entry], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        manifest(*entries).release(PATH, "why")


def test_rows_have_an_order_whatever_clocks_do() -> None:
    ahead = int(NOON.timestamp()) * 1_000_000 + 5
    assert manifest().after(NOON) == NOON
    assert manifest(an_entry(judged_us=ahead)).after(NOON) == NOON + timedelta(microseconds=6)
