"""What becomes of delivered files: loaded, held, waiting, gone, or released by a person. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from bronze.control import Totals, unmet
from bronze.faults import Fault
from bronze.landing import LandedDay, LandedFile
from bronze.manifest import Content, Judgement, Release
from lakehouse.errors import DropNotReleasableError
from lakehouse.records.codes import DropFault, Verdict
from lakehouse.tables import BRONZE_DROP_FILES, DROPS

MOST_MISPLACED = 100
"""So many files in wrong places have a row in the manifest; the others are counted only."""


def misplaced_judgements(files: Sequence[LandedFile]) -> list[Judgement]:
    """One judgement per file that lies where no file of a day can, up to MOST_MISPLACED."""
    reason = "nobody reads it there: expected KIND/date=YYYY-MM-DD/FILE, of a day that exists"
    fault = Fault(DropFault.MISPLACED, reason)
    return [Judgement(file, None, fault=fault) for file in files[:MOST_MISPLACED]]


def unread_fault(day: LandedDay) -> Fault | None:
    """Why the files of a day are not looked at; None if they are."""
    if day.kind not in DROPS:
        reason = f"there is no kind {day.kind!r}: expected one of {', '.join(DROPS)}"
        return Fault(DropFault.UNKNOWN_KIND, reason)
    if not day.is_complete:
        return Fault(DropFault.UNFINISHED_DAY, "its folder has no _SUCCESS yet")
    return None


def merged(
    head: Mapping[str, Fault], read: Mapping[str, Fault], changing: Mapping[str, Fault]
) -> dict[str, Fault]:
    """What is wrong with each file, of what its head, its rows and a second look say.

    The head knows best, but what has no rows to load is never hidden: nobody could release it.
    """
    unreadable = {path: fault for path, fault in read.items() if not fault.has_rows}
    return {**read, **head, **unreadable, **changing}


def judged_day(
    day: LandedDay,
    control: str | Fault | None,
    pending: Mapping[str, Content],
    totals: Mapping[str, Totals],
    faults: Mapping[str, Fault],
    released: Release | None,
) -> list[Judgement]:
    """One judgement per pending file of a day.

    `control` is the text of the sender's totals, or why nobody can read it. A day that misses its
    totals holds all that is pending in it.
    """
    found = sum((totals.get(file.path, Totals()) for file in day.files), Totals())
    uncounted = [
        file.name
        for file in day.files
        if file.path in faults and not faults[file.path].is_releasable
    ]
    miss = unmet(control, found, uncounted)
    # of what nobody could look at again there is no content to speak of, and no rows
    steady = {path: known for path, known in pending.items() if not _is_unsteady(faults.get(path))}
    return [
        _judged(
            Judgement(
                file,
                steady.get(file.path),
                totals.get(file.path, Totals()).rows if file.path in steady else 0,
                faults.get(file.path, miss),
            ),
            released,
        )
        for file in day.files
        if file.path in pending
    ]


def deliveries(touched: Sequence[Judgement], news: Sequence[Judgement]) -> dict[str, int]:
    """Files that came since the last run, and rows that came once more, by table and standing.

    `touched` are files of a content that is loaded already, and among the `news`. What waits is not
    delivered yet; of rows that are new Silver has still to tell.
    """
    came = Counter(judgement.verdict for judgement in news)
    files = BRONZE_DROP_FILES.name
    counts = {
        f"{files} ACCEPTED": came[Verdict.LOADED] - len(touched),
        f"{files} REFUSED": came[Verdict.HELD],
        f"{files} DUPLICATE": len(touched),
    }
    again: Counter[str] = Counter()
    for judgement in touched:
        again[f"{DROPS[judgement.file.kind].name} DUPLICATE"] += judgement.row_count
    return counts | again


def require_unreplaced(released: Release | None, pending: Mapping[str, Content]) -> None:
    """Let nobody release what nobody has looked at.

    Raises:
        DropNotReleasableError: landing/ has other content at the path now, or none.
    """
    if released and pending.get(released.held.path) != released.held:
        path = released.held.path
        raise DropNotReleasableError(
            path, "its day is open, or other content, or none that can be read, is there now"
        )


def require_released(released: Release | None, judgements: Iterable[Judgement]) -> None:
    """Raise where the file to release does not load.

    Raises:
        DropNotReleasableError: it cannot be read now.
    """
    for judgement in judgements:
        is_asked = released is not None and judgement.file.path == released.held.path
        if is_asked and judgement.fault and judgement.verdict != Verdict.LOADED:
            raise DropNotReleasableError(judgement.file.path, judgement.fault.reason)


def _is_unsteady(fault: Fault | None) -> bool:
    return fault is not None and fault.code in (DropFault.CHANGING, DropFault.UNREADABLE)


def _judged(judgement: Judgement, released: Release | None) -> Judgement:
    fault = judgement.fault
    if released and judgement.content == released.held and fault and fault.is_releasable:
        return replace(judgement, release_reason=released.reason)
    return judgement
