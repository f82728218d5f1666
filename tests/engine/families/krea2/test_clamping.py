"""In float16 nothing becomes infinite; in other dtypes nothing changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_krea2 import (
    Krea2RMSNorm,
    Krea2SwiGLU,
    Krea2TextFusionBlock,
    Krea2TransformerBlock,
)

from bot.engine.families.float16 import clamped
from bot.engine.families.krea2 import clamping, networks
from bot.engine.families.packing import packed
from tests.engine.families.krea2.conftest import TURBO

TEXT = 20


@pytest.fixture(params=[(".ff.",), (".to_v.", ".to_out.")])
def transformer(stock: dict[str, Any], request: pytest.FixtureRequest) -> Any:
    """The transformer with layers that go beyond float16, and norms in float32: the product of a
    feed-forward layer does, or the sum that a norm reads."""
    theirs = stock[TURBO].transformer
    ours = networks.build("transformer", dict(theirs.config))
    ours.load_state_dict(theirs.state_dict(), assign=True)
    ours = ours.eval().requires_grad_(False)
    formats = networks.formats("transformer", torch.float16, in_eight_bits=False)
    for name, parameter in ours.named_parameters():
        parameter.data = parameter.data.to(formats.dtype_of(name))
        if any(layer in name for layer in request.param):
            parameter.data = parameter.data * 500
    return ours


def predicted(transformer: Any, dtype: torch.dtype = torch.float16) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    image = packed(torch.randn(1, 64, 4, 4, generator=drawn)).to(dtype)
    text = torch.randn(1, TEXT, 12, 16, generator=drawn).to(dtype)
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
    assert not {Krea2RMSNorm, Krea2SwiGLU, Krea2TextFusionBlock, Krea2TransformerBlock} & kinds


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_other_dtypes_are_left_alone(dtype: torch.dtype) -> None:
    values = torch.tensor([float("inf"), 1e6, float("nan")], dtype=dtype)
    assert clamped(values) is values


def test_in_bfloat16_it_computes_what_the_stock_one_does(
    folders: Path, stock: dict[str, Any]
) -> None:
    """With norms in float32, as diffusers keeps them, and whatever else is its own here."""
    from diffusers import Krea2Transformer2DModel

    theirs = Krea2Transformer2DModel.from_pretrained(
        folders / TURBO / "transformer", torch_dtype=torch.bfloat16
    )
    formats = networks.formats("transformer", torch.bfloat16, in_eight_bits=False)
    ours = networks.build("transformer", dict(theirs.config))
    ours.load_state_dict(stock[TURBO].transformer.state_dict(), assign=True)
    for name, parameter in ours.named_parameters():
        parameter.data = parameter.data.to(formats.dtype_of(name))
    kept = {name: each.dtype for name, each in theirs.named_parameters()}
    assert {name: each.dtype for name, each in ours.named_parameters()} == kept
    assert {*kept.values()} == {torch.float32, torch.bfloat16}
    assert ours.dtype == torch.bfloat16
    found = predicted(ours.eval().requires_grad_(False), torch.bfloat16)
    assert torch.equal(found, predicted(theirs, torch.bfloat16))
