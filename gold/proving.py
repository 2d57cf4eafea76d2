"""What a decision made again proves, by each book of policies that may have been read; pure.

Where nothing tells when a decision was committed, a book that came after it may have been read or
not, and so may a score: that they agree with what was recorded proves nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gold.knowledge import Book

_BY_POLICIES = {"velocity", "policies", "policy_flags", "policy_flag", "recommended_action"}
"""What of a decision depends on the policies that were known."""


@dataclass(frozen=True)
class Difference:
    """One field that comes out otherwise; values as text."""

    field: str
    recorded: str | None
    recomputed: str | None


@dataclass(frozen=True)
class Tried:
    """What came out otherwise by one book."""

    book: Book
    differences: list[Difference]


@dataclass(frozen=True)
class Proof:
    """What is proven to differ, what cannot be told, and by which book it was decided again.

    `untold` has what other policies or scores would give, which may have been known; or just what
    was recorded, where all that is left gives that.
    """

    book: Book | None = None  # null: by none
    differences: list[Difference] = field(default_factory=list)
    untold: list[Difference] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def proof_of(tried: Sequence[Tried]) -> Proof:
    """What the books prove that may have been read, oldest first: the one of then stands first.

    One that stood and gives what was recorded proves it. What all of them give otherwise differs,
    by the one that comes nearest, unless it follows from policies and one that stood is gone.
    """
    best = min(tried, key=lambda each: len(each.differences))
    book, first = best.book, tried[0]
    by_policies = [each for each in best.differences if each.field in _BY_POLICIES]
    others = [each for each in best.differences if each not in by_policies]
    if any(each.book.is_after_gone for each in tried) and (by_policies or book.is_later):
        note = (
            f"policies are those of version {book.table_version} of silver.policies: another "
            "one, which may have been read, is beyond time travel"
        )
        names = ", ".join(book.in_force) or "none"
        return Proof(book, others, by_policies or [Difference("policies", names, names)], [note])
    if book.is_later and not by_policies:
        note = (
            f"version {book.table_version} of silver.policies, which came after the decision, "
            "gives what was recorded: nothing tells whether it was there before the commit"
        )
        of_then = [each for each in first.differences if each.field in _BY_POLICIES]
        return Proof(first.book, others, of_then, [note])
    return Proof(book, best.differences)


def with_doubtful_scores(proof: Proof, again: Sequence[Difference]) -> Proof:
    """The same, where scores that may have been known would give `again`."""
    told = {each.field for each in (*proof.differences, *proof.untold)}
    other = [each for each in again if each.field not in told]
    if not other:
        return proof
    note = (
        "another score of the transaction may have been known, and would give something else: "
        "nothing tells whether it was there before the commit"
    )
    return Proof(proof.book, proof.differences, [*proof.untold, *other], [*proof.notes, note])
