"""In float16 nothing becomes infinite; in other dtypes nothing changes."""

from typing import Any

import pytest
import torch

from bot.engine.families.float16 import clamped
from bot.engine.families.krea2 import clamping, networks
from bot.engine.families.packing import packed
from tests.engine.families.krea2.conftest import TURBO

TEXT = 20


@pytest.fixture
def transformer(stock: dict[str, Any]) -> Any:
    """The transformer with feed-forward layers that go beyond float16, and norms in float32."""
    theirs = stock[TURBO].transformer
    ours = networks.build("transformer", dict(theirs.config))
    ours.load_state_dict(theirs.state_dict(), assign=True)
    ours = ours.eval().requires_grad_(False)
    formats = networks.formats("transformer", torch.float16, in_eight_bits=False)
    for name, parameter in ours.named_parameters():
        parameter.data = parameter.data.to(formats.dtype_of(name))
        if ".ff." in name:
            parameter.data = parameter.data * 200
    return ours


def predicted(transformer: Any) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    image = packed(torch.randn(1, 64, 4, 4, generator=drawn)).half()
    text = torch.randn(1, TEXT, 12, 16, generator=drawn).half()
    with torch.no_grad():
        found = transformer(
            hidden_states=image,
            encoder_hidden_states=text,
            timestep=torch.tensor([0.5]),
            position_ids=torch.zeros(TEXT + 16, 3),
            return_dict=False,
        )[0]
    return torch.as_tensor(found)


def test_float16_stays_finite_where_it_would_not(
    transformer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predicted(transformer).isfinite().all()
    monkeypatch.setattr(clamping, "clamped", lambda values: values)
    assert not predicted(transformer).isfinite().all()


def test_every_norm_product_and_block_is_clamped(transformer: Any) -> None:
    kinds = {type(module) for module in transformer.modules()}
    assert {*clamping.CLAMPED.values()} <= kinds
    assert not {*clamping.CLAMPED} & kinds


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_are_left_alone(dtype: torch.dtype) -> None:
    values = torch.tensor([float("inf"), 1e6, float("nan")], dtype=dtype)
    assert clamped(values) is values
