"""What is decided of a payment, and from what: pure, shared by live, batch and audit.

Everything here maps frames to frames or columns to columns; nothing reads a table or a clock.
"""

from lakehouse.decision.currency import minor_digits
from lakehouse.decision.evaluation import CONCLUSIONS, decide, evaluate, recount
from lakehouse.decision.knowledge import (
    COUNTED,
    DECIDED,
    Known,
    is_derived,
    known_by_then,
)
from lakehouse.decision.normalisation import with_base_amount
from lakehouse.decision.policies import POLICY_RULES, PolicyBook, PolicyRule
from lakehouse.decision.reasons import reason_code
from lakehouse.decision.regions import Regions, load_regions, region_of
from lakehouse.decision.rules import DecisionRules, fingerprint_of, load_rules

__all__ = [
    "CONCLUSIONS",
    "COUNTED",
    "DECIDED",
    "POLICY_RULES",
    "DecisionRules",
    "Known",
    "PolicyBook",
    "PolicyRule",
    "Regions",
    "decide",
    "evaluate",
    "fingerprint_of",
    "is_derived",
    "known_by_then",
    "load_regions",
    "load_rules",
    "minor_digits",
    "reason_code",
    "recount",
    "region_of",
    "with_base_amount",
]
