"""One network on the device: what its parameters become."""

import weakref
from pathlib import Path
from typing import Any

import pytest
import torch


def test_a_set_is_summed_in_fp32_and_rounded_once(models_dir: Path) -> None:
    from bot.engine.patches.algorithms import Full
    from bot.engine.patches.changes import WeightChange
    from bot.engine.weights import Formats, Part, PristineWeights

    generator = torch.Generator().manual_seed(1)
    base = torch.randn(32, 16, generator=generator).half()
    weights = (1.0, -0.5, 2.0)
    changes = [torch.randn(32, 16, generator=generator) * 0.3 for _ in weights]
    part = Part(torch.nn.Linear(16, 32, bias=False, device="meta"), Formats(torch.float16), "cpu")
    part.hold(PristineWeights("pristine", part.layout, None, {"weight": base}))
    applied = [WeightChange("unet", "weight", 0, Full(change)) for change in changes]
    part.set_changes({"weight": list(zip(weights, applied, strict=True))})
    part.wake(lambda: None)
    once, each = base.float(), base
    for weight, change in zip(weights, changes, strict=True):
        once = once + weight * change
        each = (each.float() + weight * change).half()
    assert torch.equal(part.module.weight, once.half())
    assert not torch.equal(part.module.weight, each)


def awake() -> Any:
    """A part on the device, filled with 1, 2, 3 …"""
    from bot.engine.weights import Formats, Part, PristineWeights

    part = Part(torch.nn.Linear(4, 8, device="meta"), Formats(torch.float32), "cpu")
    tensors = {
        name: torch.arange(1.0, 1 + slot.size // 4).view(slot.shape)
        for name, slot in part.layout.slots.items()
    }
    part.hold(PristineWeights("pristine", part.layout, None, tensors))
    part.wake(lambda: None)
    return part


def values(part: Any) -> list[list[float]]:
    return [parameter.flatten().tolist() for parameter in part.module.parameters()]


def test_parking_frees_the_memory_and_keeps_the_parameters() -> None:
    part = awake()
    expected, parameters = values(part), list(part.module.parameters())
    shapes = [parameter.shape for parameter in parameters]
    for _ in range(3):
        part.park()
        assert not part.present
        assert {p.untyped_storage().nbytes() for p in parameters} == {0}
        assert {p.device.type for p in part.module.parameters()} == {"meta"}
        with pytest.raises((RuntimeError, NotImplementedError)):
            part.module(torch.zeros(1, 4)).tolist()
        part.wake(lambda: None)
        assert all(
            is_now is was for is_now, was in zip(part.module.parameters(), parameters, strict=True)
        )
        assert [parameter.shape for parameter in parameters] == shapes
        assert values(part) == expected
    where = [parameter.data_ptr() for parameter in parameters]
    part.wake(lambda: None)
    assert [parameter.data_ptr() for parameter in parameters] == where


def test_changes_are_there_again_after_parking() -> None:
    from bot.engine.patches.algorithms import Full
    from bot.engine.patches.changes import WeightChange

    part = awake()
    pristine = values(part)
    change = WeightChange("unet", "weight", 0, Full(torch.full((8, 4), 0.5)))
    part.set_changes({"weight": [(2.0, change)]})
    part.wake(lambda: None)
    changed = values(part)
    assert changed[0] == [value + 1 for value in pristine[0]]
    part.park()
    part.wake(lambda: None)
    assert values(part) == changed
    part.set_changes({})
    part.wake(lambda: None)
    assert values(part) == pristine


@pytest.mark.parametrize("way", ["seen by numpy", "a device without it"])
def test_memory_that_cannot_be_taken_away_is_dropped(
    monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """torch takes no memory from a tensor that numpy has seen, or from one of Apple's GPUs."""
    from bot.engine.weights import part as module

    part = awake()
    expected = values(part)
    if way == "seen by numpy":
        part.module.weight.detach().numpy()
    else:
        monkeypatch.setattr(module, "_RESIZABLE", ())
    held = weakref.ref(part._buffer)
    part.park()
    assert held() is None
    part.wake(lambda: None)
    assert values(part) == expected


def test_what_another_thread_computes_with_stays_valid() -> None:
    """Compiling runs the denoiser while the device's memory is given back."""
    part = awake()
    expected, weight = values(part)[0], part.module.weight
    part.give_up()
    assert weight.flatten().tolist() == expected
    assert part.module.weight.is_meta
    assert part._awake is None
    part.wake(lambda: None)
    assert values(part)[0] == expected
    assert part.module.weight is not weight


def test_a_network_that_finds_no_memory_is_still_parked(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    part = awake()
    expected = values(part)
    part.park()
    with monkeypatch.context() as patch:
        patch.setattr(torch.UntypedStorage, "resize_", full)
        with pytest.raises(torch.OutOfMemoryError):
            part.wake(lambda: None)
    assert not part.present
    assert part.module.weight.is_meta
    part.wake(lambda: None)
    assert values(part) == expected


def test_small_buffers_come_back_as_they_were() -> None:
    from bot.engine.weights import Formats, Part, PristineWeights

    module = torch.nn.Module()
    module.register_parameter("weight", torch.nn.Parameter(torch.empty(2, device="meta")))
    module.register_buffer("places", torch.arange(3))
    part = Part(module, Formats(torch.float32), "cpu")
    part.hold(PristineWeights("x", part.layout, None, {"weight": torch.ones(2)}))
    for _ in range(2):
        part.wake(lambda: None)
        assert module.get_buffer("places").tolist() == [0, 1, 2]
        part.park()
        assert module.get_buffer("places").tolist() == [0, 1, 2]


def test_changes_are_of_the_pristine_weights_whatever_was_added_before(models_dir: Path) -> None:
    from bot.engine.patches.algorithms import GLoRA, LoRA
    from bot.engine.patches.changes import WeightChange
    from bot.engine.weights import Formats, Part, WeightCache

    generator = torch.Generator().manual_seed(1)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    base, down, up = some(32, 16), some(4, 16), some(32, 4)
    product = WeightChange("unet", "weight", 0, LoRA(down, up, None, 1.0))
    through = (some(16, 4), some(4, 16))
    reading = WeightChange("unet", "weight", 0, GLoRA(through, LoRA(down, up, None, 1.0)))
    part = Part(torch.nn.Linear(16, 32, bias=False, device="meta"), Formats(torch.float32), "cpu")
    cache = WeightCache(2**20, gpu=None)
    part.hold(cache.take("pristine", part.layout, lambda: {"weight": base}, lambda: None))
    for applied in ([product], [product, reading], [product, product], [reading, product], []):
        part.set_changes({"weight": [(0.5, change) for change in applied]} if applied else {})
        part.wake(lambda: None)
        expected = base.clone()
        for change in applied:
            change.add_to(expected, base, 0.5)
        assert torch.equal(part.module.weight, expected)
