"""The free lanes by what they have loaded: the best one for a job, without looking at each."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeAlias, TypeVar

from bot.queue.policy.jobs import SWITCH, InPlace, Waiting

Able: TypeAlias = Callable[[Waiting, int], bool]
"""Whether the lane of that number is able to run the job. The same for all jobs of one kind,
suspects among themselves and others among themselves."""
Apart: TypeAlias = Callable[[int], bool]
"""Whether the end of that lane's engine ends no other job."""
NOWHERE: Final = (2 * SWITCH + 1, -1)
"""More than any job costs, and no lane: for a job that no lane is able to run."""

Loaded = TypeVar("Loaded", InPlace, str | None)


class Places:
    """What each free lane has loaded. Lanes have numbers; the one that has waited longest is first.

    lanes: of the lanes 0, 1, 2 and so on, in the order in which they became free.
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
        for environment in here.environments:
            self._in.setdefault(environment, _Loaded()).add(lane, here)

    def drop(self, lane: int) -> None:
        """The lane is not free; nothing happens if it was not."""
        if (here := self._here.pop(lane, None)) is None:
            return
        self._all.remove(lane, here)
        for environment in here.environments:
            alike = self._in[environment]
            alike.remove(lane, here)
            if not alike:
                del self._in[environment]

    @property
    def models(self) -> Iterable[str]:
        """Those that are loaded."""
        return self._all.models

    def best(self, job: Waiting, able: Able | None = None) -> tuple[int, int]:
        """The least cost of running the job (see `cost`), and the lane; NOWHERE if none is able to.

        Among equals a lane of the preferred environment, then one without a model, then the one
        that has waited longest: what it has loaded was not asked for since.
        """
        found = self._all.best(job, able)
        if not job.prefers or found == NOWHERE:
            return found
        elsewhere = found[0] + SWITCH, found[1]
        alike = self._in.get(job.prefers)
        there = NOWHERE if alike is None else alike.best(job, able)
        return there if there[0] <= elsewhere[0] else elsewhere


class _Loaded:
    """Lanes by what they have loaded, in the order in which they were added."""

    def __init__(self) -> None:
        self._all: dict[int, None] = {}  # sets in order
        self._exactly: dict[InPlace, dict[int, None]] = {}
        self._model: dict[str | None, dict[int, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._all)

    def add(self, lane: int, here: InPlace) -> None:
        self._all[lane] = None
        self._exactly.setdefault(here, {})[lane] = None
        self._model.setdefault(here.model, {})[lane] = None

    def remove(self, lane: int, here: InPlace) -> None:
        del self._all[lane]
        _take_out(self._exactly, here, lane)
        _take_out(self._model, here.model, lane)

    @property
    def models(self) -> Iterable[str]:
        return (model for model in self._model if model is not None)

    def best(self, job: Waiting, able: Able | None) -> tuple[int, int]:
        """As Places.best, in whatever environment."""
        for missing, lanes in self._from_best(job):
            for lane in lanes:
                if able is None or able(job, lane):
                    return missing, lane
        return NOWHERE

    def _from_best(self, job: Waiting) -> Iterator[tuple[int, Iterable[int]]]:
        """All lanes, those with the least to load first; some come again later."""
        if job.model:
            yield 0, self._exactly.get(job.needs, ())
            yield 1, self._model.get(job.model, ())
        most = SWITCH if job.model else 0
        yield most, self._model.get(None, ())
        yield most, self._all


def _take_out(lanes_by: dict[Loaded, dict[int, None]], loaded: Loaded, lane: int) -> None:
    lanes = lanes_by[loaded]
    del lanes[lane]
    if not lanes:
        del lanes_by[loaded]
