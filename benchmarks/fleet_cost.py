"""What the scheduler itself costs: processor time of a decision, and memory of a waiting job."""

import gc
import random
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median

from benchmarks.fleet_day import LARGE_CARD, LORA_SET, MODEL, SMALL_CARD
from bot.queue import Lane
from bot.queue.fleet import Fleet
from bot.queue.policy import InPlace, Line, Waiting

JOBS_EACH = 3
"""Jobs that each person has waiting: the usual limit."""
BATCHES = 5
STEP = 501
"""From one lane that becomes free to the next, so that small and large ones take turns."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of a line of `waiting` jobs, with so many lanes of which one is free at a time, or all.

    mixed: whether half of the lanes, those that come first, have too little memory for half of the
    jobs, and are workers that are asked whether they have the files. microseconds: processor
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
            f"job-{number}",
            person,
            number,
            f"model-{model}",
            loras,
            memory_above=SMALL_CARD * (model % 2),
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
        made = [_lane(number, lanes, chance, mixed=mixed) for number in range(lanes)]
        fleet, spent = Fleet(made, _nothing), []
        gc.disable()
        try:
            for _ in range(BATCHES):
                begun = time.process_time()
                for number in range(decisions // BATCHES):
                    self._one(fleet, fleet.lanes[number * STEP % lanes])
                spent.append((time.process_time() - begun) / (decisions // BATCHES))
        finally:
            gc.enable()
        return Cost(self._waiting, lanes, mixed, median(spent) * 1e6, self._bytes)

    def _one(self, fleet: Fleet, lane: Lane) -> None:
        """One job comes, and one starts on the lane that becomes free, as JobQueue decides."""
        self._now += 1.0
        self._line.add(next(self._coming))
        free = [lane] if self._waiting else fleet.lanes
        choice = fleet.decide(self._line, free, self._now)
        if choice is not None:
            self._line.take(choice, self._now)
            free[choice.lane].last = choice.job.needs


def _lane(number: int, lanes: int, chance: random.Random, *, mixed: bool) -> Lane:
    small = mixed and number < lanes // 2
    lane = Lane(
        f"lane-{number}",
        memory=SMALL_CARD if small else LARGE_CARD,
        isolated=lanes > 1,
        able=_has_files if small else None,
    )
    lane.last = InPlace(f"model-{MODEL.draw(chance)}")
    return lane


def _has_files(job: Waiting) -> bool:
    return not job.also


def _nothing() -> None:
    """Nobody waits to be told of the lanes."""
