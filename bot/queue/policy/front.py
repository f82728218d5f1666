"""What a decision looks at, of all that waits."""

from collections.abc import Callable, Iterator, Sequence
from heapq import merge
from itertools import islice, takewhile

from bot.queue.policy.fair import Fair
from bot.queue.policy.jobs import LOOKAHEAD, SWITCH, Waiting
from bot.queue.policy.places import Places

Best = Callable[[Waiting], tuple[int, int]]
"""Places.best, of the free lanes."""


class Front:
    """What a decision looks at: of the oldest jobs of each person over all of `fairs`.

    interrupted: the first that was interrupted. due: the first of the others in the fair order.
    peers: the first LOOKAHEAD of those with the highest priority.
    """

    def __init__(self, fairs: Sequence[Fair]) -> None:
        self._fairs = fairs
        self._older: list[Waiting] = []  # of those who have more jobs in front
        ranked = self._oldest([fair.ranked() for fair in fairs], Fair.rank)
        self.peers: list[Waiting] = []
        if (first := next(ranked, None)) is not None:
            alike = takewhile(lambda job: job.priority == first.priority, ranked)
            self.peers = [first, *islice(alike, LOOKAHEAD - 1)]
        self.interrupted = next(
            self._oldest([fair.interrupted() for fair in fairs], Fair.turn), None
        )
        dues = [job for fair in fairs if (job := fair.due()) is not None]
        self.due = min(dues, key=fairs[0].fair_turn, default=None)

    def __iter__(self) -> Iterator[Waiting]:
        """All jobs that it depends on, some of them twice."""
        yield from (job for job in (self.interrupted, self.due) if job is not None)
        yield from self.peers
        yield from self._older

    def further(self, places: Places, best: Best, within: int) -> Waiting | None:
        """The first of those behind the peers that needs no model loaded, among `within`."""
        priority, loaded = self.peers[0].priority, {"", *places.models}
        found = [
            next(
                (
                    (rank, job)
                    for rank, job in islice(fair.with_model(model, priority, within), LOOKAHEAD)
                    if best(job)[0] < SWITCH and not self._has_older(job)
                ),
                None,
            )
            for fair in self._fairs
            for model in fair.models & loaded
        ]
        ranked = [each for each in found if each is not None]
        return min(ranked, key=lambda each: each[0])[1] if ranked else None

    def _has_older(self, job: Waiting) -> bool:
        own = (fair.head(job.person) for fair in self._fairs)
        return any(one is not None and one.arrived < job.arrived for one in own)

    def _oldest(
        self,
        heads: Sequence[Iterator[Waiting]],
        key: Callable[[Fair, Waiting], tuple[float | str, ...]],
    ) -> Iterator[Waiting]:
        """Those of the `heads` of each of the fairs that are their person's oldest job, in the
        order of `key`."""
        if len(self._fairs) == 1:
            yield from heads[0]
            return
        for job in merge(*heads, key=lambda job: key(self._fairs[0], job)):
            own = (fair.head(job.person) for fair in self._fairs)
            older = [one for one in own if one is not None and one.arrived < job.arrived]
            self._older += older
            if not older:
                yield job
