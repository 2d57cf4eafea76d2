"""One check: what is broken, what becomes of the episodes, and who is told; then what is unsent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from lakehouse.alerts.channels import Channel
from lakehouse.alerts.episodes import Change, changes
from lakehouse.alerts.evaluating import Judged, judged_by_figures
from lakehouse.alerts.rules import AlertRules
from lakehouse.alerts.run_rules import judged_by_runs, unjudged_by_runs
from lakehouse.alerts.store import AlertStore, Record
from lakehouse.config import AlertSettings
from lakehouse.errors import ChannelError, LeaseLostError
from lakehouse.metrics.places import Figures
from lakehouse.metrics.points import Metric, point
from lakehouse.monitoring import log, warn
from lakehouse.runs import RunStore

_ROUND_SECONDS = 20.0
"""A channel that is slow goes on with the next check."""
_RUN_DAYS = 9
"""Records of runs are read so far back; of a stream that began before, figures say that it runs."""
CHECKER = "alerts"
"""The lease of whoever checks, and the subject of its figure."""


@dataclass(frozen=True)
class Checked:
    """What one check came to: changes, and how many messages each channel has still to hear."""

    changes: Sequence[Change]
    unsent: dict[str, int]


def judge(
    rules: AlertRules,
    figures: Figures,
    runs: RunStore,
    now: datetime,
    is_scheduled: bool,
) -> Judged:
    """All rules at `now` (UTC): those over runs where figures do not answer, and the reverse."""
    found = judged_by_figures(rules, figures, now)
    try:
        known = runs.since((now - timedelta(days=_RUN_DAYS)).date(), now.date())
    except Exception as fault:
        found = found.and_then(unjudged_by_runs(rules, fault))
    else:
        broken = {each.rule for each in found.breaches}
        by_runs = judged_by_runs(rules, figures, known, now, is_scheduled, broken)
        found = found.and_then(by_runs)
    for rule in sorted(found.unjudged):
        warn("rule not judged", rule=rule)
    for error in sorted({type(fault).__name__ for fault in found.faults}):
        warn("alerts see in part", subject=CHECKER, error=error)
    return found


def say_checked(judged: Judged, figures: Figures, now: datetime) -> None:
    """Send `AlertsChecked`, behind a check in which every rule was judged.

    Whoever misses that figure knows that alerts are blind, or that nobody looks.
    """
    if not judged.faults:
        figures.send([point(Metric.ALERTS_CHECKED, CHECKER, now, 1)])


def again_and_again(
    check_once: Callable[[], object],
    check_lease: Callable[[], None],
    pause: Callable[[float], None],
    every: float,
    monotonic: Callable[[], float] = time.monotonic,
) -> NoReturn:
    """Check every so many seconds for as long as the lease is held; a fault ends one round alone.

    Raises:
        LeaseLostError: it is not, for another one checks or its store gave no answer for too long.
    """
    while True:
        begun = monotonic()
        try:
            check_lease()
            check_once()
        except LeaseLostError:
            raise
        except Exception as fault:
            warn("check failed", subject=CHECKER, error=type(fault).__name__)
        pause(max(0.0, every - (monotonic() - begun)))


def check(
    judged: Judged,
    store: AlertStore,
    channels: Sequence[Channel],
    settings: AlertSettings,
    now: datetime,
    monotonic: Callable[[], float] = time.monotonic,
) -> Checked:
    """Bring the episodes up to what is broken at `now` (UTC), then tell all that is unsent.

    An episode of a rule that could not be judged stays as it is, unless it is found broken.
    Every change is stored, with its messages, before the first is sent. Channels are told side by
    side; one that fails is left alone until the next check, and holds up no other.
    """
    records = {record.episode.id: record for record in store.unsettled()}
    broken = {(each.rule, each.subject) for each in judged.breaches}
    standing = [
        episode
        for episode in (record.episode for record in records.values())
        if episode.resolved_at is None
        and (episode.rule not in judged.unjudged or (episode.rule, episode.subject) in broken)
    ]
    happened = changes(
        standing,
        judged.breaches,
        now,
        sound_for=timedelta(minutes=settings.sound_minutes),
        repeat_after=timedelta(hours=settings.repeat_hours),
    )
    names = [channel.name for channel in channels]
    for change in happened:
        before = records.get(change.episode.id) or Record(episode=change.episode)
        records[change.episode.id] = record = before.after(change, names)
        store.put(record)
        if change.is_told:
            log(
                f"alert {change.event}",
                rule=change.episode.rule,
                subject=change.episode.subject,
                outcome=str(change.episode.severity),
            )
    _forget_old(records, store, settings, now)
    queues = {
        name: [
            (record.episode.id, change)
            for record in records.values()
            for change in record.unsent.get(name, ())
        ]
        for name in names
    }
    with ThreadPoolExecutor(max(1, len(channels)), thread_name_prefix="channel") as pool:
        told = pool.map(lambda each: _tell(each, queues[each.name], monotonic), channels)
        for channel, sent in zip(channels, told, strict=True):
            for episode_id, change in sent:
                records[episode_id] = records[episode_id].sent(channel.name, change)
                store.put(records[episode_id])
    unsent = Counter(dict.fromkeys(names, 0))
    for record in records.values():
        unsent.update({name: len(waiting) for name, waiting in record.unsent.items()})
    return Checked(happened, dict(unsent))


def _tell(
    channel: Channel, queue: Sequence[tuple[str, Change]], monotonic: Callable[[], float]
) -> list[tuple[str, Change]]:
    """Messages that were sent. The first that gets no answer, or a round that lasts, ends it."""
    sent: list[tuple[str, Change]] = []
    end = monotonic() + _ROUND_SECONDS
    for episode_id, change in queue:
        if monotonic() > end:
            break
        try:
            channel.tell(change)
        except Exception as fault:
            why = fault.why if isinstance(fault, ChannelError) else type(fault).__name__
            warn("alert not sent", channel=channel.name, reason=why, rows=len(queue) - len(sent))
            if isinstance(fault, ChannelError) and fault.is_refusal:
                continue  # of this message alone
            break
        sent.append((episode_id, change))
    return sent


def _forget_old(
    records: dict[str, Record], store: AlertStore, settings: AlertSettings, now: datetime
) -> None:
    """Messages that a channel refuses must not stand before all later ones for ever."""
    oldest = now - timedelta(hours=settings.keep_unsent_hours)
    for episode_id, record in list(records.items()):
        kept = {
            channel: tuple(change for change in unsent if change.episode.updated_at >= oldest)
            for channel, unsent in record.unsent.items()
        }
        if kept != dict(record.unsent):
            lost = sum(map(len, record.unsent.values())) - sum(map(len, kept.values()))
            warn("messages given up", rule=record.episode.rule, rows=lost)
            records[episode_id] = record.model_copy(update={"unsent": kept})
            store.put(records[episode_id])
