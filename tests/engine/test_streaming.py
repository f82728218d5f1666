"""Networks whose blocks take turns on the device: the same numbers, in less of its memory."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.errors import PaintStopped, StopReason

WIDTH = 8
BLOCKS = 7


class Block(torch.nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.into = torch.nn.Linear(WIDTH, width, device="meta")
        self.back = torch.nn.Linear(width, WIDTH, device="meta")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = x + self.back(self.into(x).sin())
        return result


class Net(torch.nn.Module):
    """Blocks of two sizes with something before, between and after them."""

    def __init__(self) -> None:
        super().__init__()
        self.before = torch.nn.Linear(WIDTH, WIDTH, device="meta")
        self.first = torch.nn.ModuleList(Block(64) for _ in range(3))
        self.between = torch.nn.Linear(WIDTH, WIDTH, device="meta")
        self.second = torch.nn.ModuleList(Block(96) for _ in range(BLOCKS - 3))
        self.after = torch.nn.Linear(WIDTH, WIDTH, device="meta")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x)
        for block in self.first:
            x = block(x)
        x = self.between(x)
        for block in self.second:
            x = block(x)
        result: torch.Tensor = self.after(x)
        return result


PATHS = (*(f"first.{n}" for n in range(3)), *(f"second.{n}" for n in range(BLOCKS - 3)))


def part_of(device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    from bot.engine.weights import Formats, Part

    return Part(Net(), Formats(dtype), device, PATHS)


def numbers(part: Any, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(slot.shape, generator=generator).to(slot.dtype)
        for name, slot in part.layout.slots.items()
    }


def changes_of(part: Any, seed: int) -> dict[str, Any]:
    """Changes of some parameters, of which some read what they change."""
    from bot.engine.patches.algorithms import Full, GLoRA, LoRA
    from bot.engine.patches.changes import WeightChange

    generator = torch.Generator().manual_seed(seed)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    found = {}
    for name, slot in part.layout.slots.items():
        if not torch.rand(1, generator=generator) < 0.4:
            continue
        if len(slot.shape) == 1:
            algorithm: Any = Full(some(*slot.shape))
        else:
            rows, columns = slot.shape
            product = LoRA(some(2, columns), some(rows, 2), None, 0.5)
            reading = (some(columns, 2), some(2, columns))
            algorithm = GLoRA(reading, product) if seed % 2 else product
        found[name] = [(0.7, WeightChange("net", name, 0, algorithm))]
    return found


def output(part: Any) -> torch.Tensor:
    """Of two passes, in the mode in which images are generated."""
    x = torch.linspace(-1, 1, 4 * WIDTH).view(4, WIDTH).to(part.layout.dtype)
    with torch.inference_mode():
        result: torch.Tensor = part.module(part.module(x))
    return result


def cached(limit: int = 2**30) -> Any:
    from bot.engine.weights import WeightCache

    return WeightCache(limit, gpu=None)


ROOMS = st.integers(0, 40_000)


@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=12), room=ROOMS)
@settings(max_examples=100, deadline=None)
def test_an_arrangement_has_room_for_everything_at_its_time(sizes: list[int], room: int) -> None:
    from bot.engine.weights import Formats, Layout
    from bot.engine.weights.arrangement import PLACES, Arrangement

    module = torch.nn.Module()
    module.add_module("before", torch.nn.Linear(3, 5, device="meta"))
    blocks = torch.nn.ModuleList(torch.nn.Linear(size, 3, device="meta") for size in sizes)
    module.add_module("blocks", blocks)
    module.add_module("after", torch.nn.Linear(5, 3, device="meta"))
    layout = Layout.of(module, Formats(torch.float32))
    paths = tuple(f"blocks.{n}" for n in range(len(sizes)))
    there = Arrangement.within(layout, paths, room)
    if layout.size <= room or len(sizes) <= PLACES:
        assert there == Arrangement.whole(layout)
        return
    assert there.by_turns
    assert [*there.layout.slots] == [*layout.slots]
    runs = [*there.kept, *there.by_turns.values()]
    names = [name for run in runs for name in run.layout.slots]
    assert sorted(names) == sorted(layout.slots)
    for run in runs:
        for name, slot in run.layout.slots.items():
            assert slot.start + run.begin == layout.slots[name].start
            assert slot.start + run.at == there.layout.slots[name].start
            assert there.layout.slots[name].start % 256 == 0
    # At any time, what is kept and two blocks in a row are there, side by side.
    turning = [*there.by_turns.values()]
    for number in range(len(turning)):
        together = [*there.kept, turning[number], turning[(number + 1) % len(turning)]]
        if number + 1 == len(turning) and len(turning) % PLACES:
            together.pop()  # the last and the first share a place
        spans = sorted((run.at, run.at + run.layout.size) for run in together)
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))
        assert spans[-1][1] <= there.layout.size
    if len(turning) < len(sizes):
        assert there.layout.size <= room


def test_as_many_blocks_as_have_room_stay_and_the_others_are_spread() -> None:
    from bot.engine.weights import Formats, Layout
    from bot.engine.weights.arrangement import Arrangement

    module = torch.nn.Module()
    layers = torch.nn.ModuleList(
        torch.nn.Linear(64, 64, bias=False, device="meta") for _ in range(12)
    )
    module.add_module("blocks", layers)
    layout = Layout.of(module, Formats(torch.float32))
    one = layout.size // 12
    paths = tuple(f"blocks.{n}" for n in range(12))
    for room, turning in ((12, 0), (11.9, 3), (11, 3), (10, 4), (8, 6), (2, 12), (1, 12)):
        there = Arrangement.within(layout, paths, int(room * one))
        assert len(there.by_turns) == turning
    assert [*Arrangement.within(layout, paths, 10 * one).by_turns] == [
        f"blocks.{n}" for n in (2, 5, 8, 11)
    ]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("change"), st.integers(0, 3)),
        st.tuples(st.just("hold"), st.integers(0, 1)),
        st.tuples(st.just("room"), st.sampled_from([None, 0, 9_000, 20_000, 2**30])),
        st.tuples(st.sampled_from(["park", "give up", "let go"]), st.just(0)),
        st.tuples(st.just("stop"), st.integers(1, 20)),
    ),
    max_size=10,
)


@pytest.mark.parametrize("limit", [0, 2**30], ids=["from files", "in RAM"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@given(steps=STEPS)
@settings(max_examples=30, deadline=None)
def test_it_computes_what_it_computes_whole_whatever_came_before(
    limit: int, dtype: torch.dtype, steps: list[tuple[str, Any]]
) -> None:
    part, whole, cache = part_of(dtype=dtype), part_of(dtype=dtype), cached(limit)
    which = 0
    changes: dict[str, Any] = {}
    part.stream(0)

    def hold() -> None:
        for each in (part, whole):
            weights = numbers(each, which)
            kept = cache.take(str(which), each.layout, weights.copy, lambda: None)
            each.hold(kept)

    def stopping(after: int) -> Callable[[], None]:
        left = iter(range(after))

        def check() -> None:
            if next(left, None) is None:
                raise PaintStopped(StopReason.CANCELLED)

        return check

    hold()
    known = [changes_of(part, seed) for seed in range(3)]
    for step, value in [*steps, ("change", 1)]:
        match step:
            case "change":
                changes = known[value] if value < len(known) else {}
            case "hold":
                which, changes = value, {}
                hold()
            case "room":
                part.stream(value)
            case "park":
                part.park()
            case "give up":
                part.give_up()
            case "let go":
                part.let_go()
                hold()
            case "stop":
                part.set_changes(known[2])
                with suppress(PaintStopped):  # unless less is to be done
                    part.wake(stopping(value))
        for each in (part, whole):
            each.set_changes(changes)
            each.wake(lambda: None)
        assert torch.equal(output(part), output(whole))


def test_only_what_turns_and_changes_takes_memory_of_its_own() -> None:
    part, cache = part_of(), cached()
    part.stream(0)
    pristine = numbers(part, 0)
    kept = cache.take("x", part.layout, lambda: pristine, lambda: None)
    part.hold(kept)
    part.wake(lambda: None)
    largest = max(run.layout.size for run in part._arrangement.by_turns.values())
    assert part._buffer.nbytes < part.layout.size / 2
    assert part._buffer.nbytes >= 2 * largest
    assert [*part._arrangement.by_turns] == [*PATHS]
    streaming = part._streaming
    assert streaming._own == {}
    from bot.engine.patches.algorithms import Full
    from bot.engine.patches.changes import WeightChange

    for names, own in (
        (("first.1.into.weight", "first.1.back.bias", "before.bias"), {1}),
        (("first.1.back.bias", "second.3.into.bias"), {1, 6}),
        (("before.bias",), set()),
    ):
        changed = {
            name: [(1.0, WeightChange("net", name, 0, Full(torch.ones_like(pristine[name]))))]
            for name in names
        }
        part.set_changes(changed)
        part.wake(lambda: None)
        assert streaming._own.keys() == own
        part.park()
        part.wake(lambda: None)
        assert streaming._own.keys() == own
    pristine = {name: tensor.clone() for name, tensor in pristine.items()}
    assert all(torch.equal(kept.tensor(name), tensor) for name, tensor in pristine.items())


def test_weights_that_it_let_go_leave_the_ram() -> None:
    part = part_of()
    cache = cached(part.layout.size)
    part.stream(0)
    weights, others = numbers(part, 0), numbers(part, 1)
    part.hold(cache.take("0", part.layout, lambda: weights, lambda: None))
    part.wake(lambda: None)
    (kept,) = (weakref.ref(each) for each in cache._kept.values())
    part.let_go()
    cache.take("1", part.layout, lambda: others, lambda: None)
    assert kept() is None


def test_weights_in_use_are_not_taken_for_others() -> None:
    """The cache makes room of what no network holds, and this one computes with it."""
    part = part_of()
    cache = cached(part.layout.size)
    part.stream(0)
    weights = numbers(part, 0)
    part.hold(cache.take("0", part.layout, lambda: weights, lambda: None))
    part.wake(lambda: None)
    expected = output(part)
    others = numbers(part, 1)
    cache.take("1", part.layout, lambda: others, lambda: None)
    assert torch.equal(output(part), expected)


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


@given(order=st.lists(st.integers(0, BLOCKS - 1), min_size=1, max_size=12))
@settings(max_examples=100, deadline=None)
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


def test_8_bits_are_never_streamed() -> None:
    from bot.engine.weights import Formats, Part

    part = Part(Net(), Formats(torch.float32, int8=r".*\.into"), "cpu", PATHS)
    part.stream(0)
    weights = numbers(part, 0)
    part.hold(cached().take("x", part.layout, lambda: weights, lambda: None))
    part.wake(lambda: None)
    assert part._arrangement.by_turns == {}


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


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_numbers_are_those_of_the_whole_network() -> None:
    outputs = []
    for room in (None, 0):
        part = part_of("cuda", torch.float16)
        part.stream(room)
        weights = numbers(part, 0)
        from bot.engine.weights import WeightCache

        cache = WeightCache(2**30, gpu="cuda")
        part.hold(cache.take("x", part.layout, weights.copy, lambda: None))
        part.set_changes(changes_of(part, 1))
        part.wake(lambda: None)
        x = torch.linspace(-1, 1, 4 * WIDTH, device="cuda").view(4, WIDTH).half()
        with torch.inference_mode():
            for _ in range(20):
                x = part.module(x).sin()
        outputs.append(x.cpu())
    assert torch.equal(*outputs)
