"""Only what was known for sure proves a decision; what may have been known leaves it untold."""

from __future__ import annotations

from typing import Any

import pytest
from pytest import param

from gold.knowledge import Book
from gold.proving import Difference, Proof, Tried, proof_of, with_doubtful_scores
from lakehouse.decision import PolicyBook

NO_POLICIES: PolicyBook = None  # type: ignore[assignment]
FLAG = Difference("policy_flag", "GEO_BLOCK", "NONE")
ACTION = Difference("recommended_action", "BLOCK", "ALLOW")
SCORE = Difference("fraud_score", "0.9", "0.25")


def tried(version: int, *differences: Difference, **of_book: Any) -> Tried:
    """What came out otherwise by a version of the policies that stood when it was decided."""
    usual: dict[str, Any] = {
        "is_after_gone": False,
        "is_later": False,
        "in_force": ["geo version 1"],
    }
    book = Book(table_version=version, committed_at=None, policies=NO_POLICIES, **usual | of_book)
    return Tried(book, [*differences])


GONE = {"is_after_gone": True, "is_later": True}
SAME = Difference("policies", "geo version 1", "geo version 1")


@pytest.mark.parametrize(
    ("books", "version", "differs", "untold"),
    [
        param([tried(1)], 1, [], [], id="the book of then gives it"),
        param([tried(1, FLAG), tried(2)], 2, [], [], id="one that stood before the commit"),
        param([tried(1, FLAG, ACTION)], 1, [FLAG, ACTION], [], id="no book gives it"),
        param([tried(1, FLAG, ACTION), tried(2, is_later=True)], 1, [], [FLAG, ACTION],
              id="only a later book gives it"),
        param([tried(1, FLAG, SCORE), tried(2, SCORE, is_later=True)], 1, [SCORE], [FLAG],
              id="a later book gives its policies, and none its score"),
        param([tried(1, FLAG, ACTION), tried(2, ACTION, is_later=True)], 2, [ACTION], [],
              id="a later book gives some of what follows from policies"),
        param([tried(3, FLAG, SCORE, **GONE)], 3, [SCORE], [FLAG], id="what is left gives other"),
        param([tried(3, **GONE)], 3, [], [SAME], id="what is left, and is of later, gives it"),
        param([tried(3, is_after_gone=True)], 3, [], [], id="what is left, and stood, gives it"),
        param([tried(1, FLAG), tried(3, FLAG, ACTION, is_after_gone=True)], 1, [], [FLAG],
              id="one between is gone"),
    ],
)  # fmt: skip
def test_policies_prove_a_decision_if_they_stood_when_it_was_made(
    books: list[Tried], version: int, differs: list[Difference], untold: list[Difference]
) -> None:
    proof = proof_of(books)
    assert proof.book is not None
    assert (proof.book.table_version, proof.differences, proof.untold) == (version, differs, untold)
    assert bool(proof.notes) == bool(untold)


def test_a_score_that_may_have_been_known_leaves_untold_what_it_would_change() -> None:
    book = tried(1).book
    assert with_doubtful_scores(Proof(book), []) == Proof(book)
    proof = with_doubtful_scores(Proof(book, [], [FLAG], ["a note"]), [FLAG, SCORE])
    assert (proof.differences, proof.untold) == ([], [FLAG, SCORE])
    assert proof.notes[0] == "a note"
    assert "another score" in proof.notes[1]
