"""One alert per episode: opened when a rule is first broken, updated, resolved when it holds again.

Pure: the episodes that are open and what is broken now go in, what happens to whom comes out. What
is to be said is queued per channel with the change itself, so that a crash between the two loses
nothing and a channel that is down holds up nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Self

from pydantic import AwareDatetime, BaseModel, ConfigDict

from lakehouse.alerts.evaluating import Breach
from lakehouse.alerts.rules import Severity


class Event(StrEnum):
    """What an episode has come to."""

    OPENED = "opened"
    UPDATED = "updated"
    RESOLVED = "resolved"


class Episode(BaseModel):
    """One alert: a rule of one subject, from when it was first broken until it held again (UTC).

    `detail` is what was broken last, `since_sound` the first check that found nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str  # also the dedup key of PagerDuty
    rule: str
    subject: str
    severity: Severity
    message: str
    detail: str
    opened_at: AwareDatetime
    updated_at: AwareDatetime
    resolved_at: AwareDatetime | None = None
    since_sound: AwareDatetime | None = None
    told_at: AwareDatetime  # when people were last told of it

    @classmethod
    def begun(cls, breach: Breach, now: datetime) -> Self:
        """A new one."""
        return cls(
            id=f"{breach.rule}/{breach.subject}/{now:%Y-%m-%dT%H:%M:%SZ}",
            rule=breach.rule,
            subject=breach.subject,
            severity=breach.severity,
            message=breach.message,
            detail=breach.detail,
            opened_at=now,
            updated_at=now,
            told_at=now,
        )


class Change(BaseModel):
    """What happened to an episode, and how it stands then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: Event
    episode: Episode
    is_told: bool  # whether channels hear of it


def changes(
    open_episodes: Sequence[Episode],
    broken: Iterable[Breach],
    now: datetime,
    sound_for: timedelta,
    repeat_after: timedelta,
) -> list[Change]:
    """What happens to episodes by a check at `now`.

    An episode is resolved when nothing was broken for `sound_for`: one that comes back before
    then goes on. People are told again of one that lasts after each `repeat_after`.
    """
    known = {(episode.rule, episode.subject): episode for episode in open_episodes}
    found = _first_of_each(broken)
    happened = []
    for key, breach in found.items():
        if key not in known:
            opened = Episode.begun(breach, now)
            happened.append(Change(event=Event.OPENED, episode=opened, is_told=True))
            continue
        episode = known[key]
        is_told = now - episode.told_at >= repeat_after or breach.severity != episode.severity
        news = {
            "severity": breach.severity,
            "message": breach.message,
            "detail": breach.detail,
            "updated_at": now,
            "since_sound": None,
            "told_at": now if is_told else episode.told_at,
        }
        updated = episode.model_copy(update=news)
        happened.append(Change(event=Event.UPDATED, episode=updated, is_told=is_told))
    for key, episode in known.items():
        if key not in found:
            happened += _sound(episode, now, sound_for)
    return happened


def _sound(episode: Episode, now: datetime, sound_for: timedelta) -> list[Change]:
    since = episode.since_sound or now
    if now - since >= sound_for:
        news = {"since_sound": since, "resolved_at": now, "updated_at": now, "told_at": now}
        resolved = episode.model_copy(update=news)
        return [Change(event=Event.RESOLVED, episode=resolved, is_told=True)]
    if episode.since_sound is None:
        quiet = episode.model_copy(update={"since_sound": now})
        return [Change(event=Event.UPDATED, episode=quiet, is_told=False)]
    return []


def _first_of_each(broken: Iterable[Breach]) -> Mapping[tuple[str, str], Breach]:
    found: dict[tuple[str, str], Breach] = {}
    for breach in broken:
        found.setdefault((breach.rule, breach.subject), breach)
    return found
