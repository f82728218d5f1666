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


def measure(waiting: int, lanes: int, *, mixed: bool, decisions: int, memory: bool) -> Cost:
    """A line that stays as long as it is: one job comes for each that starts.

    All lanes are busy and one of them becomes free, as in a long queue; with `waiting` 0, all are
    free, and the job that comes is the only one.
    """
    coming = jobs(1, max(1, waiting // JOBS_EACH))
    used: float | None = None
    line = Line()
    if memory:
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
    for _ in range(waiting):
        line.add(next(coming))
    if memory:
        used = (tracemalloc.get_traced_memory()[0] - before) / waiting
        tracemalloc.stop()
    here = [InPlace(f"model-{MODEL.draw(random.Random(lane))}") for lane in range(lanes)]
    places, now, spent = Places(() if waiting else here), 0.0, []
    gc.disable()
    try:
        for batch in range(BATCHES):
            begun = time.process_time()
            for number in range(decisions // BATCHES):
                now += 1.0
                line.add(next(coming))
                lane = (batch * decisions + number) % lanes
                if waiting:
                    places.put(lane, here[lane])
                choice = line.choose(places, now, able=_able if mixed else None)
                if choice is not None:
                    line.take(choice, now)
                    here[choice.lane] = choice.job.needs
                    places.drop(choice.lane)
                    if not waiting:
                        places.put(choice.lane, here[choice.lane])
            spent.append((time.process_time() - begun) / (decisions // BATCHES))
    finally:
        gc.enable()
    return Cost(waiting, lanes, mixed, median(spent) * 1e6, used)


def _able(job: Waiting, lane: int) -> bool:
    return not job.memory_above or bool(lane % 2)
