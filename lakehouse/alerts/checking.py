"""One check: what is broken, what becomes of the episodes, and who is told; then what is unsent."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from lakehouse.alerts.channels import Channel
from lakehouse.alerts.episodes import Change, changes
from lakehouse.alerts.evaluating import Breach
from lakehouse.alerts.store import AlertStore, Record
from lakehouse.config import AlertSettings
from lakehouse.errors import ChannelError
from lakehouse.monitoring import log, warn

_ROUND_SECONDS = 20.0
"""A channel that is slow goes on with the next check."""


@dataclass(frozen=True)
class Checked:
    """What one check came to: changes, and how many messages each channel has still to hear."""

    changes: Sequence[Change]
    unsent: dict[str, int]


def check(
    broken: Iterable[Breach],
    store: AlertStore,
    channels: Sequence[Channel],
    settings: AlertSettings,
    now: datetime,
    monotonic: Callable[[], float] = time.monotonic,
) -> Checked:
    """Bring the episodes up to what is broken at `now` (UTC), then tell all that is unsent.

    Every change is stored, with its messages, before the first is sent. Channels are told side by
    side; one that fails is left alone until the next check, and holds up no other.
    """
    records = {record.episode.id: record for record in store.unsettled()}
    standing = [r.episode for r in records.values() if r.episode.resolved_at is None]
    happened = changes(
        standing,
        broken,
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
