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
