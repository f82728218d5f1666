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

from bot.engine.weights.host import HostMemory
from bot.errors import PaintStopped, StopReason
from tests.engine.streamed import (
    EIGHT,
    PATHS,
    WIDTH,
    cached,
    changes_of,
    numbers,
    output,
    part_of,
)
from tests.parameters import examples, mostly_long

ROOMS = st.integers(0, 40_000)


@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=12), room=ROOMS)
@settings(max_examples=examples(100), deadline=None)
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
            assert slot.moved(run.at) == there.layout.slots[name]
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
        st.tuples(st.just("full"), st.integers(0, 8)),
    ),
    max_size=10,
)


@pytest.mark.parametrize("limit", [0, 2**30], ids=["from files", "in RAM"])
@pytest.mark.parametrize(
    ("dtype", "int8"),
    mostly_long(
        [(torch.float32, ""), (torch.bfloat16, ""), EIGHT], usual=[(torch.bfloat16, ""), EIGHT]
    ),
    ids=["bfloat16", "int8", "float32"],
)
@given(steps=STEPS)
@settings(max_examples=30, deadline=None)
def test_it_computes_what_it_computes_whole_whatever_came_before(
    limit: int, dtype: torch.dtype, int8: str, steps: list[tuple[str, Any]]
) -> None:
    part, whole = (part_of(dtype=dtype, int8=int8) for _ in range(2))
    cache = cached(limit)
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
            case "full":
                part.set_changes(known[2])
                with without_ram(value), suppress(MemoryError):
                    part.wake(lambda: None)
        for each in (part, whole):
            each.set_changes(changes)
            each.wake(lambda: None)
        assert torch.equal(output(part), output(whole))


@contextmanager
def without_ram(after: int) -> Iterator[None]:
    """Meanwhile, blocks are given memory of their own that many times."""
    from bot.engine.weights import streaming

    left = iter(range(after))

    def given(size: int, *, gpu: str | None) -> Any:
        if next(left, None) is None:
            raise MemoryError
        return HostMemory(size, gpu=gpu)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streaming, "HostMemory", given)
        yield


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


def test_a_block_in_8_bits_is_encoded_once_and_kept_so(monkeypatch: pytest.MonkeyPatch) -> None:
    from bot.engine.weights.eight_bits import encode

    encoded = []

    def counted(weight: torch.Tensor, *into: torch.Tensor) -> None:
        encoded.append(weight.shape)
        encode(weight, *into)

    monkeypatch.setattr("bot.engine.weights.layout.encode", counted)
    part = part_of(dtype=EIGHT[0], int8=EIGHT[1])
    weights = numbers(part, 0)
    part.stream(0)
    part.hold(cached().take("x", part.layout, lambda: weights, lambda: None))
    part.wake(lambda: None)
    streaming = part._streaming
    runs = [*part._arrangement.by_turns.values()]
    own = {number: memory.buffer.numel() for number, memory in streaming._own.items()}
    # All but `first.1` and `second.1`, which are as they are in the cache.
    assert own == {number: runs[number].layout.size for number in (0, 2, 3, 5, 6)}
    assert part._buffer.nbytes < part._stored.size < part.layout.size
    assert len(encoded) == 2 * len(own) + 1
    encoded.clear()
    part.park()
    part.wake(lambda: None)
    assert len(encoded) == 1  # which lies in no block
    encoded.clear()
    changes = changes_of(part, 1)
    for each in (changes, {}):
        part.set_changes(each)
        part.wake(lambda: None)
    changed = [name for name in changes if part._stored.slots[name].scales is not None]
    assert len(encoded) == 2 * len(changed) > 0
    assert streaming._own.keys() == own.keys()
    kept = [weakref.ref(memory) for memory in streaming._own.values()]
    part.let_go()
    assert not streaming._own
    assert not any(memory() for memory in kept)


@pytest.mark.parametrize("int8", ["", EIGHT[1]], ids=["16 bits", "8 bits"])
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_the_numbers_are_those_of_the_whole_network(int8: str) -> None:
    outputs = []
    for room in (None, 0):
        part = part_of("cuda", torch.float16, int8)
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
