"""Blocks that take turns on the device: each is there before it runs, and none too early."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.streamed import (
    BLOCKS,
    EIGHT,
    PATHS,
    WIDTH,
    cached,
    changes_of,
    numbers,
    output,
    part_of,
)
from tests.parameters import examples


class Late:
    """Copies as late as they may be, as on a device that is slow at it; checks what it is told."""

    def __init__(self) -> None:
        self.under_way: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        self.free: set[int] = set()
        self.started = 0

    def start(self, place: int, source: torch.Tensor, target: torch.Tensor) -> None:
        assert place in self.free, "a copy into memory that is in use"
        self.free.discard(place)
        self.under_way[place] = (source, target)
        self.started += 1

    def arrived(self, place: int) -> None:
        if place in self.under_way:
            source, target = self.under_way.pop(place)
            target.copy_(source)

    def used(self, place: int) -> None:
        self.under_way.pop(place, None)
        self.free.add(place)

    def settle(self) -> None:
        for place in tuple(self.under_way):
            self.arrived(place)
        self.free = {0, 1}


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Late:
    from bot.engine.weights import part

    copies = Late()
    monkeypatch.setattr(part, "copies_on", lambda _: copies)
    return copies


def test_a_block_runs_once_it_has_arrived_and_the_next_comes_meanwhile(late: Late) -> None:
    part, whole = part_of(), part_of()
    part.stream(0)
    weights = numbers(part, 0)
    for each in (part, whole):
        each.hold(cached().take("x", each.layout, lambda: weights, lambda: None))
        each.wake(lambda: None)
    assert late.started == 2
    ahead = []
    for block in part._streaming._modules:
        block.register_forward_hook(lambda *_: ahead.append(late.started))
    assert torch.equal(output(part), output(whole))
    # Of two passes; where the number of blocks is odd, the first waits for the last's place.
    assert ahead == [*range(3, 3 + 2 * BLOCKS)]


def test_what_adapters_change_meets_no_copy(late: Late) -> None:
    """It is summed and encoded where blocks take turns, one of which is there or on its way."""
    part, whole = (part_of(int8=EIGHT[1]) for _ in range(2))
    part.stream(0)
    weights = numbers(part, 0)
    for each in (part, whole):
        each.hold(cached().take("x", each.layout, lambda: weights, lambda: None))
    for changes in (changes_of(part, 1), changes_of(part, 2), {}):
        for each in (part, whole):
            each.set_changes(changes)
            each.wake(lambda: None)
        assert {*late.under_way} == {0, 1}
        for _ in range(2):
            assert torch.equal(output(part), output(whole))


@given(order=st.lists(st.integers(0, BLOCKS - 1), min_size=1, max_size=12))
@settings(max_examples=examples(100), deadline=None)
@pytest.mark.long
def test_blocks_may_run_in_any_order(order: list[int]) -> None:
    from bot.engine.weights import part as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "copies_on", lambda _: Late())
        part, whole = part_of(), part_of()
        part.stream(0)
        weights = numbers(part, 0)
        x = torch.ones(1, WIDTH)
        for each in (part, whole):
            each.hold(cached().take("x", each.layout, lambda: weights, lambda: None))
            each.wake(lambda: None)
        for number in order:
            a, b = (each.module.get_submodule(PATHS[number])(x) for each in (part, whole))
            assert torch.equal(a, b)


def test_a_block_that_fails_on_its_way_leaves_no_wrong_one(late: Late) -> None:
    part, whole = part_of(), part_of()
    part.stream(0)
    weights = numbers(part, 0)
    for each in (part, whole):
        each.hold(cached().take("x", each.layout, lambda: weights, lambda: None))
        each.wake(lambda: None)
    expected = output(whole)
    for path in ("first.1", "second.0", "second.3"):
        block = part.module.get_submodule(path)

        def fail(*_: object) -> None:
            raise RuntimeError("out of memory")

        hook = block.into.register_forward_hook(fail)
        with pytest.raises(RuntimeError):
            output(part)
        hook.remove()
        assert torch.equal(output(part), expected)


class Recorder:
    """torch.cuda's streams and events: in which order they are asked for what."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[tuple[str, ...]] = []
        self.streams = 0
        self.events = 0
        self.current = self.stream("computing")
        for name, value in {
            "Stream": lambda _: self.stream("copying"),
            "Event": self.event,
            "current_stream": lambda _: self.current,
            "stream": self.within,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)

    def stream(self, name: str) -> Any:
        log = self.log

        class Stream:
            def wait_event(self, event: Any) -> None:
                log.append((name, "waits for", event.name))

            def synchronize(self) -> None:
                log.append((name, "settles"))

        found: Any = Stream()
        found.name = name
        return found

    def event(self) -> Any:
        log, number = self.log, self.events
        self.events += 1

        class Event:
            # Made in this order: that one came, for both places, then that one was used.
            name = ("arrived 0", "arrived 1", "used 0", "used 1")[number]

            def record(self, stream: Any) -> None:
                log.append((stream.name, "has", self.name))

        return Event()

    @contextmanager
    def within(self, stream: Any) -> Iterator[None]:
        self.log.append((stream.name, "copies"))
        yield


def test_on_cuda_copies_and_kernels_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.weights.streaming import copies_on

    recorder = Recorder(monkeypatch)
    copies = copies_on("cuda:0")
    source, target = torch.ones(3), torch.zeros(3)
    copies.used(1)
    copies.start(1, source, target)
    copies.arrived(1)
    copies.settle()
    assert recorder.log == [
        ("computing", "has", "used 1"),
        ("copying", "waits for", "used 1"),
        ("copying", "copies"),
        ("copying", "has", "arrived 1"),
        ("computing", "waits for", "arrived 1"),
        ("copying", "settles"),
    ]
    assert torch.equal(source, target)
