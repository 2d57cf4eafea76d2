"""What conf/quality says: rules of rows, gates of batches, anomalies; read and checked once.

Every file of the folder is of one kind of drop; several may be of one kind. SQL is checked against
the columns of that kind in `lakehouse.quality.expressions`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, PositiveInt, ValidationError, model_validator

from lakehouse.config import Settings, problems_of, read_yaml
from lakehouse.errors import ConfigError
from lakehouse.quality.measures import AnyMeasure
from lakehouse.records.codes import GateSeverity, RowSeverity

RuleId = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
SomeText = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_SECTIONS = ("rows", "gates", "anomalies")


class Rule(Settings):
    """What has an id, of its own among all rules of its kind of drop."""

    id: RuleId


class RowCheck(Rule):
    """One rule of a row: SQL that is true of a good one; where it is null, it is not broken."""

    severity: RowSeverity
    message: SomeText  # what is wrong with a row that breaks it; never carries a value
    check: SomeText


class Check(Rule):
    """What every check of a batch has: which figure it looks at, and over which rows of it."""

    severity: GateSeverity
    message: SomeText
    measure: AnyMeasure
    over: Literal["accepted", "delivered"] = "accepted"


class Gate(Check):
    """A figure of a batch has to lie within fixed bounds, both inclusive."""

    at_least: Number | None = None
    at_most: Number | None = None

    @model_validator(mode="after")
    def _has_bounds(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("expected at_least, at_most or both")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError("expected at_least not above at_most")
        return self


class Anomaly(Check):
    """A figure of a batch has to be like that of earlier days of delivery.

    It is unusual when it is further from their median than the greatest of: `deviations` times
    their median absolute deviation (scaled to a standard deviation), `tolerance` times the
    median, and `margin`. With fewer than `min_days` earlier days it has no opinion.
    """

    min_days: PositiveInt
    last_days: PositiveInt = 30
    deviations: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    tolerance: NotNegative = 0.0
    margin: NotNegative = 0.0

    @model_validator(mode="after")
    def _remembers_enough(self) -> Self:
        if self.last_days < self.min_days:
            raise ValueError("expected last_days not below min_days")
        return self


class RuleFile(Settings):
    """One file of conf/quality."""

    kind: SomeText
    rows: tuple[RowCheck, ...] = ()
    gates: tuple[Gate, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()


@dataclass(frozen=True)
class KindRules:
    """All that is declared for one kind of drop, and which file says so."""

    rows: Sequence[RowCheck] = ()
    gates: Sequence[Gate] = ()
    anomalies: Sequence[Anomaly] = ()
    file_of: Mapping[str, Path] = field(default_factory=dict)

    @property
    def checks(self) -> Sequence[Gate | Anomaly]:
        """Gates, then anomalies."""
        return (*self.gates, *self.anomalies)


@dataclass(frozen=True)
class RuleBook:
    """The rules of every kind; a kind of which no file speaks has none."""

    kinds: Mapping[str, KindRules]

    def of(self, kind: str) -> KindRules:
        """The rules of one kind."""
        return self.kinds.get(kind, KindRules())


def load_rule_book(folder: Path | str, known_kinds: Iterable[str]) -> RuleBook:
    """Read and check every `*.yaml` of a folder.

    Raises:
        ConfigError: the folder is absent; a file is not YAML, or has another ending that YAML may
            have; it has a key twice, names a kind, a key or a value that does not exist, or an id
            that another rule of its kind has. It names file and rule.
    """
    source, known = Path(folder), sorted(known_kinds)
    if not source.is_dir():
        raise ConfigError(source, ["no such folder: rules.quality names where the rules are"])
    for path in sorted(source.iterdir()):
        if path.suffix.lower() in (".yml", ".yaml") and path.suffix != ".yaml":
            raise ConfigError(path, ["would not be read: a file of rules ends in .yaml"])
    files = {path: _read(path) for path in sorted(source.glob("*.yaml"))}
    for path, rules in files.items():
        if rules.kind not in known:
            problem = f"kind: expected one of {', '.join(known)}, got {rules.kind!r}"
            raise ConfigError(path, [problem])
    return RuleBook({kind: _of_kind(kind, files) for kind in known})


def _of_kind(kind: str, files: Mapping[Path, RuleFile]) -> KindRules:
    own = {path: rules for path, rules in files.items() if rules.kind == kind}
    file_of: dict[str, Path] = {}
    for path, rules in own.items():
        declared: tuple[Rule, ...] = (*rules.rows, *rules.gates, *rules.anomalies)
        for rule in declared:
            if rule.id in file_of:
                where = "here" if file_of[rule.id] == path else f"in {file_of[rule.id].name}"
                problem = f"rule {rule.id}: the id is taken by another rule of {kind} {where}"
                raise ConfigError(path, [problem])
            file_of[rule.id] = path
    return KindRules(
        rows=tuple(rule for rules in own.values() for rule in rules.rows),
        gates=tuple(rule for rules in own.values() for rule in rules.gates),
        anomalies=tuple(rule for rules in own.values() for rule in rules.anomalies),
        file_of=file_of,
    )


def _read(path: Path) -> RuleFile:
    values = read_yaml(path)
    try:
        return RuleFile(**values)
    except ValidationError as error:
        raise ConfigError(path, list(_problems(error, values))) from None


def _problems(error: ValidationError, values: Mapping[str, Any]) -> Iterator[str]:
    """Each fault behind the id of its rule: a place in a list tells a person little."""
    faults = error.errors(include_url=False)
    for fault, problem in zip(faults, problems_of(error), strict=True):
        section, *place = fault["loc"]
        if section in _SECTIONS and place and isinstance(place[0], int):
            rule = values[str(section)][place[0]]
            name = rule.get("id") if isinstance(rule, dict) else None
            yield f"rule {name or f'{place[0] + 1} of {section}'}: {problem}"
        else:
            yield problem
