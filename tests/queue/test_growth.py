"""However many jobs wait, what a request does to the queue costs about the same.

Counted in the instructions that Python executes, not in seconds: they are always the same. To
forecast all places is not part of it, as that is done once for many requests.
"""

import gc
import math
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any, cast

import pytest

from bot.queue import JobQueue, Lane
from bot.queue.policy import InPlace, Line, Places, Waiting
from bot.store import Store
from tests.parameters import mostly_long
from tests.store.factories import any_job, request

SIZES = (100, 1_000, 10_000)
PEOPLE = 50

Ask = Callable[[JobQueue, int], object]


def queue_with(jobs: int) -> JobQueue:
    queue = JobQueue(cast("Store", None), [Lane(loaded=lambda: "m3")])
    for number in range(jobs):
        enter(queue, number)
    return queue


def enter(queue: JobQueue, number: int, **fields: Any) -> str:
    job_id = f"job{number}"
    asked = fields.pop("request", None) or request(model=f"m{number % 7}")
    values = {"user_id": number % PEOPLE, "guild_id": number % 3, "started_at": None, **fields}
    job = any_job(asked, id=job_id, **values)
    queue._held[job_id] = queue._waiting(job, number)
    queue.release(job_id)
    return job_id


def instructions(work: Callable[[], object]) -> int:
    """How many `work` executes."""
    count = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal count
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    gc.disable()  # what others have it call would be counted, too
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


def comes(queue: JobQueue, jobs: int) -> None:
    waiting = queue._waiting(any_job(id="new", user_id=PEOPLE + 1), jobs)
    queue._held["new"] = waiting
    queue._line.ahead(waiting, queue._held.values())
    queue.release("new")


def comes_again(queue: JobQueue, jobs: int) -> None:
    """Of someone who waits already."""
    waiting = queue._waiting(any_job(id="new", user_id=jobs // 2 % PEOPLE), jobs)
    queue._line.add(waiting)


def leaves(queue: JobQueue, jobs: int) -> None:
    queue.leave(f"job{jobs // 2}")
    queue.leave(f"job{jobs - 1}")


def is_next(queue: JobQueue, _: int) -> None:
    choice = queue._choose(queue.lanes)
    assert choice is not None
    queue._line.take(choice, 1.0)


def is_next_where_most_are_too_large(queue: JobQueue, jobs: int) -> None:
    """For the second time: those that no free lane is able to run were met before."""
    line = queue._line
    choice = line.choose([InPlace("m3")], 1.0, able=lambda job, _: job.model == "m5")
    assert choice is not None
    assert choice.job.model == "m5"
    line.take(choice, 1.0)


def is_asked_for(queue: JobQueue, jobs: int) -> None:
    assert len(queue) == jobs
    assert f"job{jobs - 1}" in queue
    assert queue.running == ()


ALL = [comes, comes_again, leaves, is_next, is_next_where_most_are_too_large, is_asked_for]


@pytest.mark.parametrize("ask", mostly_long(ALL, usual=[comes, is_next]))
def test_no_cost_grows_faster_than_the_logarithm_of_the_queue(ask: Ask) -> None:
    found = []
    for size in SIZES:
        queue = queue_with(size)
        if ask is is_next_where_most_are_too_large:
            ask(queue, size)
        found.append(instructions(partial(ask, queue, size)))
    assert found[0] > 0
    assert all(
        steps <= found[0] * (math.log(size) / math.log(SIZES[0]))
        for size, steps in zip(SIZES, found, strict=True)
    ), found


@pytest.mark.long
def test_going_through_the_queue_would_be_noticed() -> None:
    found = [instructions(partial(look_through, queue_with(size)._line)) for size in SIZES]
    assert found[-1] > 10 * found[0]


def test_a_free_lane_is_found_among_any_number() -> None:
    job = Waiting("x", "p", 1, "wanted")
    found = []
    for count in SIZES:
        places = Places(InPlace(f"m{number}") for number in range(count))
        places.put(count // 2, InPlace("wanted"))
        found.append(instructions(lambda places=places: places.best(job)))  # type: ignore[misc]
    assert found == [found[0]] * len(SIZES)


def test_a_copy_costs_the_same_however_many_kinds_are_aside() -> None:
    found = []
    for count in (10, 100):
        line = Line(Waiting(f"job{n}", f"p{n}", n, f"m{n}") for n in range(count))
        assert line.choose([InPlace()], 0.0, able=lambda *_: False) is None
        assert line.aside == count
        found.append(instructions(line.copy))
    assert found[1] == found[0]


def test_a_decision_takes_no_look_at_every_lane_for_each_lane() -> None:
    """Where 20 models' jobs wait for the few lanes that are larger, listed last."""
    found, sizes = [], (40, 80, 160)
    for count in sizes:
        small = [Lane(f"small{number}", memory=8) for number in range(count)]
        lanes = [*small, *(Lane(f"large{number}", memory=24) for number in range(2))]
        queue = JobQueue(cast("Store", None), lanes)
        for number in range(20):
            enter(queue, number, request=request(model=f"m{number}"), memory_above=8)
        for lane in lanes[-2:]:
            queue.drain(lane)
        found.append(instructions(partial(queue._choose, small)))
        choice = queue._choose(lanes)
        assert choice is not None
        assert choice.lane == count
    least = found[0] / sizes[0]
    assert all(each / size < 1.2 * least for each, size in zip(found, sizes, strict=True)), found


def look_through(line: Line) -> None:
    assert not any(job.id == "none of them" for job in line)
