"""In float16 nothing becomes infinite; in other dtypes nothing changes."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bot.engine.families import float16
from bot.engine.families.flux2 import clamping, networks
from tests.engine.families.flux2.conftest import KLEIN

Build = Callable[[float], Any]


@pytest.fixture
def build(stock: dict[str, Any]) -> Build:
    """Builds the transformer with its blocks' modulations scaled."""

    def built(scale: float) -> Any:
        theirs = stock[KLEIN].transformer
        ours = networks.build("transformer", dict(theirs.config))
        ours.load_state_dict(theirs.state_dict(), assign=True)
        ours = ours.eval().requires_grad_(False)
        for modulation in (ours.double_stream_modulation_txt, ours.single_stream_modulation):
            modulation.linear.weight = torch.nn.Parameter(modulation.linear.weight * scale)
        return ours

    return built


def predicted(transformer: Any, dtype: torch.dtype) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    tokens = {
        "hidden_states": torch.randn(1, 16, 128, generator=drawn).to(dtype),
        "encoder_hidden_states": torch.randn(1, 20, 48, generator=drawn).to(dtype),
    }
    with torch.no_grad():
        (found,) = transformer(
            **tokens,
            timestep=torch.tensor([0.5]).to(dtype),
            img_ids=torch.zeros(16, 4),
            txt_ids=torch.zeros(20, 4),
            guidance=None,
            return_dict=False,
        )
    return torch.as_tensor(found)


@pytest.mark.parametrize("scale", [256.0, 2048.0])
def test_float16_stays_finite_where_it_would_not(
    build: Build, monkeypatch: pytest.MonkeyPatch, scale: float
) -> None:
    half = build(scale).half()
    assert predicted(half, torch.float16).isfinite().all()
    for module in (clamping, float16):
        monkeypatch.setattr(module, "clamped", lambda values: values)
    assert not predicted(half, torch.float16).isfinite().all(), "as diffusers leaves it"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_within_the_range_nothing_changes(
    build: Build, stock: dict[str, Any], dtype: torch.dtype
) -> None:
    theirs = copy.deepcopy(stock[KLEIN].transformer).to(dtype)
    assert (predicted(build(1.0).to(dtype), dtype) == predicted(theirs, dtype)).all()
