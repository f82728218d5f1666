"""Limits: whether a person may request images now. Pure functions.

Checked in this order, each with its own message: blocked, role, cooldown, quota, queue size.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from math import ceil

from bot.errors import Refused
from bot.levels import PlaceLimit
from bot.store import Api, Origin
from bot.store.usage import DAY, Usage


@dataclass(frozen=True, slots=True)
class Limits:
    """The owner's settings. None, 0 as `cooldown`, and empty collections mean no limit.

    size, per_user, per_guild, per_key: the most pending and running jobs at once, and places
        reserved; per_key instead of per_user for callers over HTTP.
    cooldown: seconds between two requests of one person.
    quota: images per person in any 24 hours, not counting jobs that failed or were cancelled; the
        cooldown counts those too.
    blocked: people who may not ask. roles: at least one of these is required to ask.
    priorities: role ids with their priority; jobs with a higher one go ahead.
    """

    size: int | None = None
    per_user: int | None = None
    per_guild: int | None = None
    per_key: int | None = None
    cooldown: float = 0
    quota: int | None = None
    blocked: frozenset[str] = frozenset()
    roles: tuple[int, ...] = ()
    priorities: Mapping[int, int] = field(default_factory=dict)

    @property
    def look_back(self) -> bool:
        """Whether it matters what a person has asked for before."""
        return bool(self.cooldown) or self.quota is not None

    def priority(self, roles: frozenset[int]) -> int:
        """The highest priority of these roles; 0 is the default."""
        return max((self.priorities.get(role, 0) for role in roles), default=0)


def limits_for(origin: Origin, limits: Limits | None) -> Limits | None:
    """Those of the owner's `limits` that apply to a request from there."""
    if limits is None or not origin.limited:
        return None
    if isinstance(origin, Api):
        # Roles and the cooldown are for people who type; a key has a rate and a quota of its own.
        return replace(limits, roles=(), cooldown=0, quota=origin.daily, per_user=limits.per_key)
    return limits


def check(
    limits: Limits, usage: Usage, *, person: str, roles: frozenset[int], count: int, now: float
) -> None:
    """Raise Refused if this person may not request `count` images at `now` (seconds)."""
    check_person(limits, person, roles)
    check_history(limits, usage, count=count, now=now)
    if limits.per_user is not None and usage.own >= limits.per_user:
        raise Refused("queue.user_full", limit=limits.per_user)
    if limits.per_guild is not None and usage.in_community >= limits.per_guild:
        raise Refused("queue.guild_full", limit=limits.per_guild)
    if limits.size is not None and usage.in_all >= limits.size:
        raise Refused("queue.full", limit=limits.size)


def check_person(limits: Limits, person: str, roles: frozenset[int]) -> None:
    """Raise Refused if this person may never request images: blocked, or without a role."""
    if person in limits.blocked:
        raise Refused("queue.blocked")
    if not limits.roles or roles.intersection(limits.roles):
        return
    if len(limits.roles) == 1:
        raise Refused("queue.role", role=limits.roles[0])
    raise Refused("queue.roles", role=limits.roles[0], others=len(limits.roles) - 1)


def check_history(limits: Limits, usage: Usage, *, count: int, now: float) -> None:
    """Raise Refused if the cooldown or the quota does not allow `count` more images."""
    check_cooldown(limits, usage.asked_at, now)
    _check_quota(limits, usage, count, now)


def check_places(places: Iterable[PlaceLimit], usage: Usage, *, count: int, now: float) -> None:
    """Raise Refused if the cooldown or quota of one of these places does not allow `count` more
    images there."""
    for place in places:
        there = usage.within(place.place)
        again = _again(place.cooldown, there.asked_at, now)
        if again is not None:
            raise Refused(f"levels.cooldown.{place.level}", when=ceil(again))
        if place.quota is None:
            continue
        over = len(there.images) + count - place.quota
        if over > 0 and count > place.quota:
            raise Refused(f"levels.quota_small.{place.level}", limit=place.quota, value=count)
        if over > 0:
            when = ceil(min(there.images[over - 1], now) + DAY)
            raise Refused(f"levels.quota.{place.level}", limit=place.quota, when=when)


def images_left(limits: Limits | None, places: Iterable[PlaceLimit], usage: Usage) -> int | None:
    """How many images the quotas still allow this person; None if there are none."""
    left = [
        place.quota - len(usage.within(place.place).images)
        for place in places
        if place.quota is not None
    ]
    if limits is not None and limits.quota is not None:
        left.append(limits.quota - len(usage.images))
    return max(0, min(left)) if left else None


def check_cooldown(limits: Limits, asked_at: float | None, now: float) -> None:
    """Raise Refused if the person asked too short a time ago.

    A time in the future, from when the clock was wrong, counts as now.
    """
    if (again := _again(limits.cooldown, asked_at, now)) is not None:
        raise Refused("queue.cooldown", when=ceil(again))


def _again(cooldown: float, asked_at: float | None, now: float) -> float | None:
    """When the person may ask again; None if they may now."""
    if not cooldown or asked_at is None:
        return None
    again = min(asked_at, now) + cooldown
    return again if now < again else None


def _check_quota(limits: Limits, usage: Usage, count: int, now: float) -> None:
    if limits.quota is None:
        return
    over = len(usage.images) + count - limits.quota
    if over <= 0:
        return
    if count > limits.quota:
        raise Refused("queue.quota_small", limit=limits.quota, value=count)
    # There is room once enough of the oldest are a day old.
    when = ceil(min(usage.images[over - 1], now) + DAY)
    raise Refused("queue.quota", limit=limits.quota, when=when)
