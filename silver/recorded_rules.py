"""silver.rules: every content of conf/decision.yaml and conf/regions.yaml that was compared by.

A decision names the version of the rules it was made by; this table has what that version says.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from lakehouse.config import Settings
from lakehouse.context import Lakehouse
from lakehouse.decision import DecisionRules, Regions, fingerprint_of, load_regions, load_rules
from lakehouse.records.codes import RuleKind
from lakehouse.tables import SILVER_RULES


@dataclass(frozen=True)
class RuleBook:
    """All rules of decision by their version, and all ways in which regions were derived."""

    decision: Mapping[str, DecisionRules]
    regions: tuple[Regions, ...]


def recorded_rules(lake: Lakehouse, earlier: Path | None = None) -> RuleBook:
    """Record the rules of now, and those of the file `earlier`, if they are not; tell all.

    Raises:
        ConfigError: a file of rules is absent, or wrong.
        ContractError: its tables contradict the rules that hold everywhere.
    """
    files = [load_rules(path) for path in (lake.config.rules.decision, earlier) if path]
    met: list[tuple[RuleKind, Settings]] = [(RuleKind.DECISION, rules) for rules in files]
    met.append((RuleKind.REGIONS, load_regions(lake.config.rules.regions)))
    known = {
        (row["kind"], row["version"]): row["content"] for row in lake.read(SILVER_RULES).collect()
    }
    wanted = {
        (str(kind), fingerprint_of(content)): content.model_dump_json() for kind, content in met
    }
    new = {place: content for place, content in wanted.items() if place not in known}
    if new:
        rows = [(*place, content, lake.clock()) for place, content in sorted(new.items())]
        lake.append(lake.spark.createDataFrame(rows, SILVER_RULES.schema).coalesce(1), SILVER_RULES)
    return _read(known | new)


def _read(contents: Mapping[tuple[str, str], str]) -> RuleBook:
    by_kind = {
        kind: {version: json.loads(text) for (of, version), text in contents.items() if of == kind}
        for kind in RuleKind
    }
    return RuleBook(
        {version: DecisionRules(**rules) for version, rules in by_kind[RuleKind.DECISION].items()},
        tuple(Regions(**regions) for _, regions in sorted(by_kind[RuleKind.REGIONS].items())),
    )
