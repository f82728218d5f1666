"""What the scheduler itself costs: processor time of a decision, and memory of a waiting job."""

import gc
import random
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.fleet_day import LORA_SET, MODEL
from bot.queue.policy import InPlace, Line, Places, Waiting

JOBS_EACH = 3
"""Jobs that each person has waiting: the usual limit."""
BATCHES = 5


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a line of `waiting` jobs, with so many lanes of which one is free at a time, or all.

    mixed: whether half of the lanes are able to run only half of the jobs. microseconds: processor
    time for a job that comes, is chosen and starts. bytes: per waiting job; None if not measured.
    """

    waiting: int
    lanes: int
    mixed: bool
    microseconds: float
    bytes: float | None = None


def jobs(seed: int, people: int) -> Iterator[Waiting]:
    """Any number of jobs of so many people."""
    chance, number = random.Random(seed), 0
    while True:
        person, model = f"{chance.randrange(people) + 10**17}", MODEL.draw(chance)
        loras = (f"lora-{LORA_SET.draw(chance)}:0.8",) if chance.random() < 0.5 else ()
        yield Waiting(
            f"job-{number}", person, number, f"model-{model}", loras, memory_above=model % 2
        )
        number += 1


class Busy:
    """A line of `waiting` jobs that stays as long: one job comes for each that starts.

    All lanes are busy and one of them becomes free, as in a long queue; with 0, all are free, and
    the job that comes is the only one. memory: whether to measure it, which takes longer.
    """

    def __init__(self, waiting: int, *, memory: bool = False) -> None:
        self._waiting = waiting
        self._coming = jobs(1, max(1, waiting // JOBS_EACH))
        self._line, self._now = Line(), 0.0
        self._bytes: float | None = None
        if memory:
            gc.collect()
            tracemalloc.start()
        for _ in range(waiting):
            self._line.add(next(self._coming))
        if memory:
            self._bytes = tracemalloc.get_traced_memory()[0] / waiting
            tracemalloc.stop()

    def measure(self, lanes: int, *, mixed: bool, decisions: int) -> Cost:
        """What a job costs. decisions: for how many it is measured."""
        chance = random.Random(lanes)
        here = [InPlace(f"model-{MODEL.draw(chance)}") for _ in range(lanes)]
        places, spent = Places(() if self._waiting else here), []
        gc.disable()
        try:
            for _ in range(BATCHES):
                begun = time.process_time()
                for number in range(decisions // BATCHES):
                    self._one(places, here, number % lanes, mixed=mixed)
                spent.append((time.process_time() - begun) / (decisions // BATCHES))
        finally:
            gc.enable()
        return Cost(self._waiting, lanes, mixed, median(spent) * 1e6, self._bytes)

    def _one(self, places: Places, here: list[InPlace], lane: int, *, mixed: bool) -> None:
        """One job comes, and one starts on the lane that becomes free."""
        self._now += 1.0
        self._line.add(next(self._coming))
        if self._waiting:
            places.put(lane, here[lane])
        able = _able if mixed else None
        choice = self._line.choose(places, self._now, able=able, among=len(here))
        if choice is None:
            return
        self._line.take(choice, self._now)
        here[choice.lane] = choice.job.needs
        places.drop(choice.lane)
        if not self._waiting:
            places.put(choice.lane, here[choice.lane])


def _able(job: Waiting, lane: int) -> bool:
    return not job.memory_above or bool(lane % 2)
