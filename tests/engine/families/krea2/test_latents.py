"""Latents between the VAE, the transformer and the eye, and where their tokens are."""

from typing import Any

import numpy as np
import pytest
import torch

from bot.engine.environment import Place
from bot.engine.families.krea2 import Krea2, conditioning
from bot.engine.families.krea2.text import Prompt
from bot.engine.families.packing import packed, patchified
from bot.engine.kernels import Shape
from bot.engine.preview import picture
from tests.engine.families.krea2.conftest import TURBO


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_tokens_and_their_places_are_the_stock_pipelines(stock: dict[str, Any]) -> None:
    pipe, latents = stock[TURBO], drawn(1, 16, 6, 8)
    patches = patchified(latents)
    assert torch.equal(packed(patches), pipe._pack_latents(latents, 1, 16, 6, 8))
    assert torch.equal(
        conditioning.positions(patches, 512), pipe.prepare_position_ids(512, 3, 4, "cpu")
    )


@pytest.mark.parametrize("rows", [1, 2])
def test_each_prompt_is_evaluated_on_its_own(rows: int) -> None:
    """With float32 noise levels, which bfloat16 would round to each other."""
    called: list[dict[str, Any]] = []

    def denoiser(**given: Any) -> tuple[torch.Tensor]:
        called.append(given)
        return (given["hidden_states"] * len(called),)

    prompts = tuple(
        Prompt(drawn(1, 512, 12, 4).bfloat16(), torch.ones(1, 512, dtype=torch.bool))
        for _ in range(rows)
    )
    latents = drawn(1, 16, 4, 4).repeat(rows, 1, 1, 1)
    own = conditioning.Conditioning(prompts)
    found = own.predict(denoiser, latents, torch.tensor(996.7))
    assert (own.rows, own.tokens) == (rows, 512)
    assert found.dtype == torch.float32
    for number, given in enumerate(called):
        assert given["encoder_hidden_states"] is prompts[number].states
        assert given["hidden_states"].dtype == torch.bfloat16
        assert given["timestep"] == torch.tensor([996.7]) / 1000
        rounded = latents[number].bfloat16().float() * (number + 1)
        assert torch.allclose(found[number], rounded, rtol=1e-2)
    assert len(called) == rows


def test_a_preview_is_as_large_as_the_latents() -> None:
    family = Krea2()
    assert family.latent_shape((1024, 512)) == (1, 16, 64, 128)
    small = picture(family.previewed(None, drawn(1, 16, 6, 8)), family.preview)
    assert small.size == (8, 6)
    assert np.asarray(small).std() > 5


def test_what_is_rehearsed_is_what_is_asked_for_later(stock: dict[str, Any]) -> None:
    transformer, seen = stock[TURBO].transformer, list[dict[str, Any]]()

    def denoiser(**given: Any) -> Any:
        seen.append(given)
        with torch.no_grad():
            return transformer(**given)

    conditioning.rehearse(transformer, Place("cpu", "auto"), denoiser, Shape(1, 512, 64, 48))
    (given,) = seen
    assert given["hidden_states"].shape == (1, 12, 64)
    assert given["encoder_hidden_states"].shape == (1, 512, 12, 16)
    assert given["position_ids"].shape == (524, 3)
