"""In float16 nothing becomes infinite; in other dtypes nothing changes."""

from typing import Any

import pytest
import torch

from bot.engine.families.float16 import clamped
from bot.engine.families.zimage import clamping, networks


@pytest.fixture
def transformer(stock: dict[str, Any]) -> Any:
    """The transformer with feed-forward layers that go beyond float16, as the real one's."""
    from tests.engine.families.zimage.conftest import TURBO

    theirs = stock[TURBO].transformer
    ours = networks.build("transformer", dict(theirs.config))
    ours.load_state_dict(theirs.state_dict(), assign=True)
    ours = ours.eval().requires_grad_(False)
    for block in ours.layers:
        block.feed_forward.w1.weight = torch.nn.Parameter(block.feed_forward.w1.weight * 500)
        block.feed_forward.w3.weight = torch.nn.Parameter(block.feed_forward.w3.weight * 500)
    return ours


def predicted(transformer: Any, dtype: torch.dtype) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    image = torch.randn(16, 1, 8, 8, generator=drawn).to(dtype)
    text = torch.randn(20, 16, generator=drawn).to(dtype)
    with torch.no_grad():
        (found,) = transformer([image], torch.tensor([0.5]), [text], return_dict=False)[0]
    return torch.as_tensor(found)


def test_float16_stays_finite_where_it_would_not(
    transformer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    half = transformer.half()
    assert predicted(half, torch.float16).isfinite().all()
    monkeypatch.setattr(clamping, "clamped", lambda values: values)
    assert not predicted(half, torch.float16).isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_are_left_alone(dtype: torch.dtype) -> None:
    values = torch.tensor([float("inf"), 1e6, float("nan")], dtype=dtype)
    assert clamped(values) is values
