"""Demand: how much of the queue each person and each server takes, counted in memory.

The queue refuses from these counts, so that a rush of requests does not wait for the database. A
place is reserved before a job is stored, and without waiting in between, so two requests never
take the same one.
"""

from collections import Counter
from dataclasses import dataclass, replace

from bot.store.usage import Asked, Usage

REMEMBERED = 10_000
"""For how many people the last request is kept, to refuse during the cooldown at once."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One job, or a place reserved for one. images: how many; at: since when, in seconds.

    channel: see bot.store.usage.Asked.
    """

    person: str
    community: str | None
    images: int = 1
    at: float = 0.0
    channel: int | None = None


class Demand:
    """The claims by job id: of jobs that wait or run, and of those that are not stored yet."""

    def __init__(self) -> None:
        self._jobs: dict[str, Claim] = {}
        self._reserved: dict[str, Claim] = {}
        self._people: Counter[str] = Counter()
        self._communities: Counter[str] = Counter()
        self._asked: dict[str, float] = {}

    def __len__(self) -> int:
        """How many jobs and reserved places there are."""
        return len(self._jobs) + len(self._reserved)

    def reserve(self, job_id: str, claim: Claim) -> None:
        """Take a place for a job that may be stored later, or not."""
        self._reserved[job_id] = claim
        self._count(claim, 1)

    def reserves(self, job_id: str) -> bool:
        return job_id in self._reserved

    def give_back(self, job_id: str) -> None:
        """The reserved place is not needed; nothing happens if a job has taken it."""
        if (claim := self._reserved.pop(job_id, None)) is not None:
            self._count(claim, -1)

    def enter(self, job_id: str, person: str, community: str | None) -> None:
        """A job waits or runs, in the place reserved for it if there is one."""
        self.give_back(job_id)
        self.leave(job_id)
        self._jobs[job_id] = claim = Claim(person, community)
        self._count(claim, 1)

    def leave(self, job_id: str) -> None:
        """The job has ended."""
        if (claim := self._jobs.pop(job_id, None)) is not None:
            self._count(claim, -1)

    def add_to(self, usage: Usage, person: str, community: str | None) -> Usage:
        """`usage` of a person, with the jobs and what is reserved; the quota counts both."""
        asking = [claim for claim in self._reserved.values() if claim.person == person]
        times = [*([] if usage.asked_at is None else [usage.asked_at]), *(c.at for c in asking)]
        return replace(
            usage,
            asked_at=max(times, default=None),
            images=(*usage.images, *(claim.at for claim in asking for _ in range(claim.images))),
            asked=(
                *usage.asked,
                *(Asked(c.at, c.images, c.community, c.channel) for c in asking),
            ),
            own=self._people[person],
            in_community=0 if community is None else self._communities[community],
            in_all=len(self),
        )

    def asked(self, person: str, at: float) -> None:
        """Remember that a request was accepted at `at` seconds."""
        self._asked.pop(person, None)
        self._asked[person] = at
        if len(self._asked) > REMEMBERED:
            del self._asked[next(iter(self._asked))]

    def asked_at(self, person: str, now: float) -> float | None:
        """When a request of `person` was last accepted, as far as it is remembered.

        A time in the future, from before the clock was set back, counts as now from then on.
        """
        at = self._asked.get(person)
        if at is not None and at > now:
            self._asked[person] = at = now
        return at

    def forget(self, person: str) -> None:
        """Do not remember their last request any more."""
        self._asked.pop(person, None)

    def _count(self, claim: Claim, by: int) -> None:
        _add(self._people, claim.person, by)
        if claim.community is not None:
            _add(self._communities, claim.community, by)


def _add(counter: Counter[str], key: str, by: int) -> None:
    counter[key] += by
    if not counter[key]:
        del counter[key]
