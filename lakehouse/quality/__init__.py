"""Quality: rules of rows, and gates that a whole batch has to pass.

A *batch* is what one kind of drop delivered for one day: its folder below landing/, such as
`transactions/date=2026-03-09`. `rows` judges rows, `rules` reads conf/quality, `expressions` and
`purity` check its SQL, `measures` and `deequ` measure a batch (`failures` says what cannot be),
`judging` compares what was measured, `batches` knows what became of each.
"""

from lakehouse.quality.rows import (
    RowRule,
    is_accepted,
    quarantined,
    resolved,
    violations_of,
    warned,
    with_row_rules,
    with_violations,
)

__all__ = [
    "RowRule",
    "is_accepted",
    "quarantined",
    "resolved",
    "violations_of",
    "warned",
    "with_row_rules",
    "with_violations",
]
