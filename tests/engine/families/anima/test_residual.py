"""In float16 nothing becomes infinite; in other dtypes nothing changes."""

from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_cosmos import CosmosTransformerBlock

from bot.engine.families.anima import residual
from bot.engine.families.anima.conditioning import Conditioning
from tests.engine.families.anima.conftest import BASE
from tests.engine.families.anima.test_text import built


@pytest.fixture
def transformer(stock: dict[str, Any]) -> Any:
    """The transformer with blocks that add up to more than float16 holds, as the real one's."""
    ours = built("transformer", stock[BASE].transformer)
    ours.requires_grad_(False)
    for block in ours.transformer_blocks:
        block.ff.net[2].weight *= 500
        *_, gate = block.norm3.linear_2.weight.chunk(3)
        gate *= 500
    return ours


def predicted(transformer: Any, dtype: torch.dtype) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    prompt = torch.randn(1, 20, 16, generator=drawn).to(dtype)
    latents = torch.randn(1, 16, 8, 8, generator=drawn)
    with torch.no_grad():
        return Conditioning((prompt,)).predict(transformer.to(dtype), latents, torch.tensor(500.0))


def test_float16_stays_finite_and_near_where_it_would_not(transformer: Any) -> None:
    sums = []
    for block in transformer.transformer_blocks:
        block.register_forward_hook(lambda _, __, found: sums.append(found))
    exact = predicted(transformer, torch.float32)
    assert max(float(each.abs().max()) for each in sums) > torch.finfo(torch.float16).max
    found = predicted(transformer, torch.float16)
    assert found.dtype == torch.float32
    assert found.isfinite().all()
    assert (found - exact).std() / exact.std() < 0.02
    for module in transformer.modules():
        if isinstance(module, CosmosTransformerBlock):
            module.__class__ = CosmosTransformerBlock
    assert not predicted(transformer, torch.float16).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_are_left_alone(stock: dict[str, Any], dtype: torch.dtype) -> None:
    ours = (residual.WideBlock, residual.NarrowedLayerNorm, residual.NarrowedLayerNormZero)
    theirs = built("transformer", stock[BASE].transformer)
    for module in theirs.modules():
        if isinstance(module, ours):
            module.__class__ = type(module).__mro__[1]
    mine = built("transformer", stock[BASE].transformer)
    assert torch.equal(predicted(mine, dtype), predicted(theirs, dtype))
