"""The free lanes by what they have loaded: the best one for a job, without looking at each."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, TypeAlias, TypeVar

from bot.queue.policy.jobs import SWITCH, InPlace, Waiting

Able: TypeAlias = Callable[[Waiting, int], bool]
"""Whether the lane of that number is able to run the job. The same for all jobs of one kind,
suspects among themselves and others among themselves."""
NOWHERE: Final = (2 * SWITCH + 1, -1)
"""More than any job costs, and no lane: for a job that no lane is able to run."""

Loaded = TypeVar("Loaded", InPlace, str | None)


class Places:
    """What each free lane has loaded. Lanes have numbers, of which lower ones are taken first.

    lanes: of the lanes 0, 1, 2 and so on.
    """

    def __init__(self, lanes: Iterable[InPlace] = ()) -> None:
        self._here: dict[int, InPlace] = {}
        self._all = _Loaded()
        self._in: dict[str, _Loaded] = {}
        for lane, here in enumerate(lanes):
            self.put(lane, here)

    def __len__(self) -> int:
        return len(self._here)

    def __contains__(self, lane: int) -> bool:
        return lane in self._here

    def __getitem__(self, lane: int) -> InPlace:
        return self._here[lane]

    def put(self, lane: int, here: InPlace) -> None:
        """The lane is free, or has something else loaded than before."""
        self.drop(lane)
        self._here[lane] = here
        self._all.add(lane, here)
        if here.environment:
            self._in.setdefault(here.environment, _Loaded()).add(lane, here)

    def drop(self, lane: int) -> None:
        """The lane is not free; nothing happens if it was not."""
        if (here := self._here.pop(lane, None)) is None:
            return
        self._all.remove(lane, here)
        if (alike := self._in.get(here.environment)) is not None:
            alike.remove(lane, here)
            if not alike:
                del self._in[here.environment]

    def best(self, job: Waiting, able: Able | None = None) -> tuple[int, int]:
        """The least cost of running the job (see `cost`), and the lane; NOWHERE if none is able to.

        Among equals a lane of the preferred environment, then one without a model, else one of
        those whose model most free lanes have, so that the others' stay where they are.
        """
        found = self._all.best(job, able)
        if not job.prefers or found == NOWHERE:
            return found
        elsewhere = found[0] + SWITCH, found[1]
        alike = self._in.get(job.prefers)
        there = NOWHERE if alike is None else alike.best(job, able)
        return there if there[0] <= elsewhere[0] else elsewhere


class _Loaded:
    """Lanes by what they have loaded, each list in order.

    _crowds: each model with how many lanes have it, the most common first.
    """

    def __init__(self) -> None:
        self._exactly: dict[InPlace, list[int]] = {}
        self._model: dict[str | None, list[int]] = {}
        self._crowds: list[tuple[int, str]] | None = None  # sorted when it is asked for

    def __bool__(self) -> bool:
        return bool(self._model)

    def add(self, lane: int, here: InPlace) -> None:
        insort(self._exactly.setdefault(here, []), lane)
        insort(self._model.setdefault(here.model, []), lane)
        self._crowds = None

    def remove(self, lane: int, here: InPlace) -> None:
        _take_out(self._exactly, here, lane)
        _take_out(self._model, here.model, lane)
        self._crowds = None

    def best(self, job: Waiting, able: Able | None) -> tuple[int, int]:
        """As Places.best, in whatever environment."""
        for missing, lanes in self._from_best(job):
            for lane in lanes:
                if able is None or able(job, lane):
                    return missing, lane
        return NOWHERE

    def _from_best(self, job: Waiting) -> Iterator[tuple[int, Iterable[int]]]:
        """All lanes, those with the least to load first; some may come again later."""
        if job.model:
            yield 0, self._exactly.get(job.needs, ())
            yield 1, self._model.get(job.model, ())
        yield SWITCH if job.model else 0, self._model.get(None, ())
        if self._crowds is None:
            crowds = ((-len(lanes), model) for model, lanes in self._model.items() if model)
            self._crowds = sorted(crowds)
        crowded = (self._model[model] for _, model in self._crowds)
        yield SWITCH if job.model else 0, chain.from_iterable(crowded)


def _take_out(lanes_by: dict[Loaded, list[int]], loaded: Loaded, lane: int) -> None:
    lanes = lanes_by[loaded]
    del lanes[bisect_left(lanes, lane)]
    if not lanes:
        del lanes_by[loaded]
