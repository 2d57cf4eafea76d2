"""Generated months of fraud scores with planted spikes, and what the rule makes of them.

`python -m tests.alerts.score_months 1 8` prints what came of the seeds 1 to 8, as JSON lines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np

from lakehouse.alerts.rules import ScoreRule, load_alert_rules
from lakehouse.alerts.scores import Scores, Seen, UsualDay, findings, usual_day, usual_over
from tests.conftest import ROOT

START = datetime(2026, 6, 1, tzinfo=UTC)  # a Monday
DAYS, DAY, HOUR = 30, 1440, 60
RATE, NIGHT, WEEKEND = 200, 0.35, 0.7  # scores a minute on average; night to noon; to weekdays
SHARE, SPIKES, SPIKE_MINUTES, FOUND_WITHIN = 0.10, 12, 10, 5
EPISODE_ENDS = 15  # minutes without an alarm
THRESHOLD_BIN = 60  # scores are counted by hundredths
VALUES = np.arange(101) / 100


@dataclass(frozen=True)
class Month:
    """Scores by minute and hundredth, and the minutes at which a spike begins."""

    scores: Any
    spikes: Sequence[int]


@dataclass(frozen=True)
class Outcome:
    """What came of a month: minutes after which spikes were found, misses, false alarms.

    `missed` says of each miss how many scores there were in its first five minutes, and how many
    of them were suspicious; `false` the minute of the month at which an episode began.
    """

    seed: int
    found_after: Sequence[int]
    missed: Sequence[tuple[int, int]]
    false: Sequence[int]


def a_month(seed: int, days: int = DAYS, planted: int = SPIKES) -> Month:
    """Thirty days whose share above the threshold differs by hour, weekend and day.

    Twelve times, from the ninth day on, it doubles for ten minutes.
    """
    chance, minutes = np.random.default_rng(seed), np.arange(days * DAY)
    hour, is_weekend = (minutes % DAY) / 60, (minutes // DAY) % 7 >= 5
    day_and_night = 1 + (1 - NIGHT) / (1 + NIGHT) * np.sin((hour - 9) / 24 * 2 * np.pi)
    rate = day_and_night * np.where(is_weekend, WEEKEND, 1.0)
    rate *= RATE / rate.mean()
    share = SHARE * (1 + 0.2 * np.cos((hour - 3) / 24 * 2 * np.pi))
    share *= np.where(is_weekend, 1.15, 1.0)
    share *= np.repeat(chance.lognormal(0, 0.05, days), DAY)
    spikes: list[int] = []
    while len(spikes) < planted:
        at = int(chance.integers(8 * DAY, days * DAY - 30))
        if all(abs(at - other) > 180 for other in spikes):
            spikes.append(at)
            share[at : at + SPIKE_MINUTES] *= 2
    counts = chance.poisson(rate)
    above = chance.binomial(counts, share)
    scores = np.zeros((days * DAY, 101), int)
    for many, drawn in (
        (above, 0.6 + 0.4 * chance.beta(2, 2, above.sum())),
        (counts - above, 0.6 * chance.beta(1.2, 4, (counts - above).sum())),
    ):
        np.add.at(scores, (np.repeat(minutes, many), (drawn * 100).astype(int)), 1)
    return Month(scores, sorted(spikes))


def judged(rule: ScoreRule, seed: int) -> Outcome:
    """Check a month of that seed each minute."""
    month = a_month(seed)
    alarms = list(alarms_of(rule, month.scores))
    after = {
        at: [each - at for each in alarms if at < each <= at + FOUND_WITHIN] for at in month.spikes
    }
    ends = SPIKE_MINUTES + rule.window_minutes
    false = [a for a in alarms if not any(at < a <= at + ends for at in month.spikes)]
    begun = [a for last, a in zip([-DAY, *false], false, strict=False) if a - last > EPISODE_ENDS]
    missed = [month.scores[at : at + FOUND_WITHIN].sum(0) for at in month.spikes if not after[at]]
    return Outcome(
        seed,
        [minutes[0] for minutes in after.values() if minutes],
        [(int(each.sum()), int(each[THRESHOLD_BIN:].sum())) for each in missed],
        begun,
    )


def alarms_of(rule: ScoreRule, scores: Any) -> Iterator[int]:
    """Minutes at whose begin a check finds something; a check a minute."""
    until = np.vstack([np.zeros((1, 101), int), np.cumsum(scores, 0)])

    def between(begin: int, end: int) -> Scores:
        return _scores_of(until[end] - until[begin], START + timedelta(minutes=begin))

    hours = [between(n * HOUR, n * HOUR + HOUR) for n in range(DAYS * 24)]

    @cache
    def usual_on(day: date) -> UsualDay | None:
        return usual_day(rule, [hour for hour in hours if hour.at.date() < day], day)

    def seen(begin: int, end: int) -> Seen | None:
        since, until = (START + timedelta(minutes=each) for each in (begin, end))
        usual = usual_over(usual_on, since, until)
        return Seen(between(begin, end), usual) if usual else None

    for minute in range(rule.window_minutes + rule.level_minutes, DAYS * DAY):
        since = minute - rule.window_minutes
        window = seen(since, minute)
        if window and findings(rule, window, seen(since - rule.level_minutes, since)):
            yield minute


def _scores_of(histogram: Any, at: datetime) -> Scores:
    count = int(histogram.sum())
    high = VALUES[np.searchsorted(np.cumsum(histogram), 0.95 * count)] if count else 0.0
    above = int(histogram[THRESHOLD_BIN:].sum())
    return Scores(at, count, float((histogram * VALUES).sum()), above, float(high))


if __name__ == "__main__":
    (the_rule,) = load_alert_rules(ROOT / "conf" / "alerts.yaml").scores
    first, last = map(int, sys.argv[1:])
    for number in range(first, last + 1):
        print(json.dumps(asdict(judged(the_rule, number))), flush=True)
