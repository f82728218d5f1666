"""Admission: refuses a request before anything is done for it, or keeps a place for it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bot.errors import Refused
from bot.levels import Rules
from bot.queue.blocked import Blocked
from bot.queue.demand import Claim, Demand
from bot.queue.limits import (
    Limits,
    check,
    check_cooldown,
    check_history,
    check_person,
    check_places,
    images_left,
    limits_for,
)
from bot.store import EVERYWHERE, Api, Discord, Job, NewJob, Previewing, Store, Usage


class Admission:
    """The limits, and what counts towards them.

    limits: None for no limits. clock: returns seconds since the epoch. blocked: who may not. told:
    called with each job that was accepted; it must return at once.
    """

    def __init__(
        self,
        store: Store,
        limits: Limits | None,
        clock: Callable[[], float],
        blocked: Blocked,
        told: Callable[[Job], None] | None = None,
    ) -> None:
        self._blocked = blocked
        self._told = told
        self._store = store
        self._limits = limits
        self._clock = clock
        self._demand = Demand()

    def check_not_blocked(self, person: str, community: str | None) -> None:
        """Raise Refused if `person` is blocked there."""
        if self._limits is not None and person in self._limits.blocked:
            raise Refused("queue.blocked")
        self._blocked.check(person, community)

    def check_person(self, person: str, roles: frozenset[int], community: str | None) -> None:
        """Raise Refused if `person`, with these roles there, may never request anything."""
        self._blocked.check(person, community)
        if self._limits is not None:
            check_person(self._limits, person, roles)

    def screen(self, person: str, roles: frozenset[int], community: str | None) -> None:
        """Raise Refused if `person`, with these roles, may not request anything now.

        Checks what is known without waiting for anything: whether they are blocked or lack a role,
        and the cooldown. For asking before any work is done.
        """
        self._blocked.check_open()
        self._blocked.check(person, community)
        if self._limits is not None:
            self._screen(self._limits, person, roles)

    def _screen(self, limits: Limits, person: str, roles: frozenset[int]) -> None:
        check_person(limits, person, roles)
        now = self._clock()
        check_cooldown(limits, self._demand.asked_at(person, now), now)

    async def images_left(self, person: str, community: str | None, rules: Rules) -> int | None:
        """How many images the quotas still allow `person` where these rules hold; None if there are
        none. Only for people who type; it may be less when they ask."""
        if not rules.limits and (self._limits is None or self._limits.quota is None):
            return None
        now = self._clock()
        usage = await self._store.usage(person, now, self._demand.asked_at(person, now))
        usage = self._demand.add_to(usage, person, community)
        return images_left(self._limits, rules.limits, usage)

    async def start_over(self, person: str, community: str | None, actor: str) -> bool:
        """What `person` has asked for so far no longer counts towards quotas and cooldowns of that
        server and its channels, or any if it is None. Returns False if nothing did."""
        within = EVERYWHERE if community is None else community
        done = await self._store.resets.reset(person, within=within, actor=actor)
        if within == EVERYWHERE:
            self._demand.forget(person)
        return done

    @asynccontextmanager
    async def reserving(self, new: NewJob, rules: Rules) -> AsyncIterator[None]:
        """Keep a place for `new` while the block lasts, unless it has one already.

        rules: what holds where it was asked for. The place counts towards all limits. Raises
        Refused when one is reached.
        """
        if self._demand.reserves(new.id):
            yield
            return
        self._blocked.check_open()
        self._blocked.check(new.origin.person, new.origin.community)
        limits = limits_for(new.origin, self._limits)
        person, community, count = new.origin.person, new.origin.community, new.request.images
        if limits is not None:
            self._screen(limits, person, new.roles)
        usage = Usage()
        if rules.limits or (limits is not None and limits.look_back):
            now = self._clock()
            usage = await self._store.usage(person, now, self._demand.asked_at(person, now))
        # From here on without waiting: another request must not take the same place.
        usage = self._demand.add_to(usage, person, community)
        now = self._clock()
        if limits is not None:
            check(limits, usage, person=person, roles=new.roles, count=count, now=now)
        check_places(rules.limits, usage, count=count, now=now)
        channel = new.origin.setting_channel if isinstance(new.origin, Discord) else None
        self._demand.reserve(new.id, Claim(person, community, count, now, channel))
        try:
            yield
        finally:
            self._demand.give_back(new.id)

    def recheck(self, new: NewJob, rules: Rules) -> Callable[[Usage], None] | None:
        """A check of what is stored by then, for the transaction that stores `new`: other requests
        of the same person may have been stored since a place was reserved. None if it is not
        needed. It raises Refused."""
        limits = limits_for(new.origin, self._limits)
        own = limits if limits is not None and limits.look_back else None
        if own is None and not rules.limits:
            return None
        count, now = new.request.images, self._clock()

        def recheck(usage: Usage) -> None:
            if own is not None:
                check_history(own, usage, count=count, now=now)
            check_places(rules.limits, usage, count=count, now=now)

        return recheck

    def priority(self, new: NewJob, rules: Rules) -> int:
        """By the person's roles, for the owner and in the server, or by the caller's key; below all
        others for previews."""
        if isinstance(new.origin, Previewing):
            return -1
        if isinstance(new.origin, Api):
            return new.origin.priority
        owners = 0 if self._limits is None else self._limits.priority(new.roles)
        return max(owners, rules.priority_of(new.roles))

    def accepted(self, job: Job) -> None:
        """`job` was just requested and stored."""
        self._demand.asked(job.person, self._clock())
        if self._told is not None:
            self._told(job)

    def enter(self, job: Job) -> None:
        """`job` waits or runs, and takes the place that was reserved for it."""
        self._demand.enter(job.id, job.person, job.community)

    def leave(self, job_id: str) -> None:
        """The job has ended."""
        self._demand.leave(job_id)
