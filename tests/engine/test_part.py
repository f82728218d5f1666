"""One network on the device: what its parameters become."""

from pathlib import Path

import torch


def test_a_set_is_summed_in_fp32_and_rounded_once(models_dir: Path) -> None:
    from bot.engine.patches.algorithms import Full
    from bot.engine.patches.changes import WeightChange
    from bot.engine.weights import Part, PristineWeights

    generator = torch.Generator().manual_seed(1)
    base = torch.randn(32, 16, generator=generator).half()
    weights = (1.0, -0.5, 2.0)
    changes = [torch.randn(32, 16, generator=generator) * 0.3 for _ in weights]
    part = Part(torch.nn.Linear(16, 32, bias=False, device="meta"), torch.float16, "cpu")
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


def test_changes_are_of_the_pristine_weights_whatever_was_added_before(models_dir: Path) -> None:
    from bot.engine.patches.algorithms import GLoRA, LoRA
    from bot.engine.patches.changes import WeightChange
    from bot.engine.weights import Part, WeightCache

    generator = torch.Generator().manual_seed(1)

    def some(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=generator)

    base, down, up = some(32, 16), some(4, 16), some(32, 4)
    product = WeightChange("unet", "weight", 0, LoRA(down, up, None, 1.0))
    through = (some(16, 4), some(4, 16))
    reading = WeightChange("unet", "weight", 0, GLoRA(through, LoRA(down, up, None, 1.0)))
    part = Part(torch.nn.Linear(16, 32, bias=False, device="meta"), torch.float32, "cpu")
    cache = WeightCache(2**20, pinned=False)
    part.hold(cache.take("pristine", part.layout, lambda: {"weight": base}, lambda: None))
    for applied in ([product], [product, reading], [product, product], [reading, product], []):
        part.set_changes({"weight": [(0.5, change) for change in applied]} if applied else {})
        part.wake(lambda: None)
        expected = base.clone()
        for change in applied:
            change.add_to(expected, base, 0.5)
        assert torch.equal(part.module.weight, expected)
