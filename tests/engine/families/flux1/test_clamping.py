"""In float16 nothing becomes infinite; in other dtypes nothing changes."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bot.engine.families import float16
from bot.engine.families.flux1 import clamping, networks
from tests.engine.families.flux1.conftest import SCHNELL

Build = Callable[..., Any]
KINDS = ("transformer_blocks", "single_transformer_blocks")


@pytest.fixture
def build(stock: dict[str, Any]) -> Build:
    """Builds the transformer with scaled layers in one kind of its blocks."""

    def built(scale: float, kind: str = KINDS[0]) -> Any:
        theirs = stock[SCHNELL].transformer
        ours = networks.build("transformer", dict(theirs.config))
        ours.load_state_dict(theirs.state_dict(), assign=True)
        ours = ours.eval().requires_grad_(False)
        for block in getattr(ours, kind):
            two = kind == KINDS[0]
            for layer in (
                (block.ff.net[2], block.ff_context.net[2]) if two else (block.norm.linear,)
            ):
                layer.weight = torch.nn.Parameter(layer.weight * scale)
        return ours

    return built


def predicted(transformer: Any, dtype: torch.dtype) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    config = transformer.config
    given = {
        "hidden_states": torch.randn(1, 16, 64, generator=drawn),
        "encoder_hidden_states": torch.randn(1, 20, config.joint_attention_dim, generator=drawn),
        "pooled_projections": torch.randn(1, config.pooled_projection_dim, generator=drawn),
        "timestep": torch.tensor([0.5]),
    }
    with torch.no_grad():
        (found,) = transformer(
            **{name: tensor.to(dtype) for name, tensor in given.items()},
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(20, 3),
            return_dict=False,
        )
    return torch.as_tensor(found)


@pytest.mark.parametrize("kind", KINDS)
def test_float16_stays_finite_where_it_would_not(
    build: Build, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    half = build(50_000.0, kind).half()
    assert predicted(half, torch.float16).isfinite().all()
    for module in (clamping, float16):
        monkeypatch.setattr(module, "clamped", lambda values: values)
    assert not predicted(half, torch.float16).isfinite().all(), "as diffusers leaves it"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_within_the_range_nothing_changes(
    build: Build, stock: dict[str, Any], dtype: torch.dtype
) -> None:
    theirs = copy.deepcopy(stock[SCHNELL].transformer).to(dtype)
    assert (predicted(build(1.0).to(dtype), dtype) == predicted(theirs, dtype)).all()
