"""`conf/alerts.yaml`, loaded and checked: what people are told of, and how urgently."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PositiveInt, ValidationError, model_validator

from lakehouse.config import Settings, problems_of, read_yaml
from lakehouse.errors import ConfigError
from lakehouse.metrics.points import Metric

RuleId = Annotated[str, Field(pattern="^[a-z][a-z0-9_]*$")]
SomeText = Annotated[str, Field(min_length=1)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, lt=1)]
IsoWeekday = Annotated[int, Field(ge=1, le=7)]


class Severity(StrEnum):
    """How urgent an alert is: PagerDuty's own words."""

    CRITICAL = "critical"
    ERROR = "error"
    WARNING = "warning"


class Rule(Settings):
    """What every rule has; its id is also the name of its section in docs/runbook.md."""

    id: RuleId
    severity: Severity
    message: SomeText  # what is wrong, in a few words; never carries a value of a payment


class ThresholdRule(Rule):
    """A figure of a metric over the last minutes lies above a limit, for each subject by itself.

    `share_of` divides the sums by those of another metric. With fewer than `at_least` of that, or
    of the values themselves, the rule has no opinion. `last` looks at the newest minute that says
    something. A run that fails with one of `errors` has met what the figure tells: while the rule
    is broken, or its figure under way, no other rule speaks of that run.
    """

    metric: Metric
    figure: Literal["sum", "max", "mean", "high", "last"]
    above: Number
    over_minutes: PositiveInt
    share_of: Metric | None = None
    at_least: PositiveInt = 1
    errors: tuple[SomeText, ...] = ()

    @model_validator(mode="after")
    def _divides_sums(self) -> Self:
        if self.share_of is not None and self.figure != "sum":
            raise ValueError("share_of divides sums: expected figure: sum")
        return self


class SpikeRule(Rule):
    """More of a metric than on earlier days, as a share of another one.

    It looks at the last `over_minutes` that end with some of that other one, within a day. A breach
    is a count which on an ordinary day is as unlikely as `odds`, and which is at least
    `least_factor` times the median share of the last `history_days`, but never less than `floor`.
    """

    metric: Metric
    share_of: Metric
    over_minutes: PositiveInt
    history_days: PositiveInt
    min_days: PositiveInt  # with fewer earlier days it has no opinion
    odds: Share
    least_factor: Annotated[float, Field(gt=1)]
    floor: Share


class ScoreRule(Rule):
    """Fraud scores against the same hour of earlier days: see `lakehouse.alerts.scores`.

    The threshold of the share is where a score becomes suspicious, in conf/decision.yaml.
    """

    window_minutes: PositiveInt
    level_minutes: PositiveInt  # before the window: they tell how high this day lies
    history_days: PositiveInt
    min_days: Annotated[int, Field(ge=3)]
    min_days_alike: Annotated[int, Field(ge=2)]  # weekdays, or weekend days
    weekend: tuple[IsoWeekday, ...]  # ISO: 1 is Monday; by UTC days
    rises_to: Annotated[float, Field(gt=1)]  # the share, so many times the usual one
    falls_to: Share
    times_likelier: Annotated[float, Field(gt=1)]  # the risen or fallen share than the usual one
    odds: Share  # of such a count or a further one, by the usual share
    least_share: Share  # a usual share is taken to be at least that
    deviations: Positive  # of mean and upper quantile
    least_mean_step: Positive  # smaller ones are no news, however certain
    least_quantile_step: Positive
    min_scores: PositiveInt


class AbsenceRule(Rule):
    """A job was last under way longer ago than so many hours: by its name."""

    hours: Mapping[SomeText, Positive]


class LateRule(Rule):
    """A run of a job has been going for longer than so many minutes: by its name."""

    minutes: Mapping[SomeText, Positive]


class SilenceRule(Rule):
    """A run neither ended nor said that it is alive for so many minutes: its process is gone."""

    after_minutes: Positive


class FailureRule(Rule):
    """The last run of a job failed; `errors` and `jobs` narrow it down.

    A rule that names errors speaks for those: a rule without names leaves them to it.
    """

    errors: tuple[SomeText, ...] = ()
    jobs: tuple[SomeText, ...] = ()


class AlertRules(Settings):
    """All rules, each with an id of its own."""

    thresholds: tuple[ThresholdRule, ...]
    spikes: tuple[SpikeRule, ...]
    scores: tuple[ScoreRule, ...]
    failures: tuple[FailureRule, ...]
    silent: tuple[SilenceRule, ...]
    not_started: tuple[AbsenceRule, ...]
    late: tuple[LateRule, ...]

    @model_validator(mode="after")
    def _ids_are_unique(self) -> Self:
        ids = [rule.id for rule in self.each()]
        if twice := sorted({each for each in ids if ids.count(each) > 1}):
            raise ValueError(f"the id {twice[0]} is there twice")
        return self

    def each(self) -> Iterator[Rule]:
        """All rules, in the order of the file's sections."""
        yield from (*self.thresholds, *self.spikes, *self.scores)
        yield from (*self.failures, *self.silent, *self.not_started, *self.late)


def load_alert_rules(path: Path | str) -> AlertRules:
    """Read the file of rules.

    Raises:
        ConfigError: it is absent, not YAML, or says something that is no rule.
    """
    try:
        return AlertRules(**read_yaml(path))
    except ValidationError as error:
        raise ConfigError(path, problems_of(error)) from None
