"""Latents between the VAE, the transformer and the eye."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import Flux2KleinPipeline

from bot.engine.families import packing
from bot.engine.families.flux2 import Flux2, latents
from bot.engine.families.flux2.conditioning import Conditioning, positions
from bot.engine.families.flux2.text import Encoded
from bot.engine.preview import picture
from tests.engine.families.flux2.conftest import KLEIN


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_patches_and_tokens_are_the_stock_pipelines() -> None:
    whole = drawn(1, 32, 6, 8)
    patches = packing.patchified(whole)
    assert torch.equal(patches, Flux2KleinPipeline._patchify_latents(whole))
    assert torch.equal(packing.unpatchified(patches), whole)
    tokens = packing.packed(patches)
    assert torch.equal(tokens, Flux2KleinPipeline._pack_latents(patches))
    assert torch.equal(packing.unpacked(tokens, patches), patches)


def test_statistics_scale_and_unscale(stock: dict[str, Any]) -> None:
    vae, given = stock[KLEIN].vae, drawn(1, 128, 3, 4)
    unscaled = latents.unscaled(vae, given)
    assert unscaled.shape == (1, 32, 6, 8)
    assert (unscaled - packing.unpatchified(given)).abs().max() > 0.1
    assert torch.allclose(latents.scaled(vae, unscaled), given, atol=1e-5)


def test_positions_are_the_stock_pipelines() -> None:
    of_image = Flux2KleinPipeline._prepare_latent_ids(torch.zeros(1, 128, 3, 5))
    assert torch.equal(positions(torch.device("cpu"), height=3, width=5), of_image)
    prompt = torch.zeros(1, 512, 48)
    conditioning = Conditioning.of(Encoded(prompt, None), (80, 48), None)
    assert torch.equal(conditioning.positions, of_image)
    assert torch.equal(conditioning.text_positions, Flux2KleinPipeline._prepare_text_ids(prompt))
    assert (conditioning.rows, conditioning.tokens) == (1, 512)


def test_a_preview_is_twice_as_large_as_the_latents() -> None:
    family = Flux2()
    assert family.latent_shape((1024, 512)) == (1, 128, 32, 64)
    small = picture(family.previewed(None, drawn(1, 128, 3, 4)), family.preview)
    assert small.size == (8, 6)
    assert np.asarray(small).std() > 5
    nothing = picture(family.previewed(None, torch.zeros(1, 128, 1, 1)), family.preview)
    assert nothing.getpixel((0, 0)) == (123, 118, 116)


@pytest.mark.long
def test_a_large_image_decodes_in_tiles_of_the_usual_size(stock: dict[str, Any]) -> None:
    vae, given = stock[KLEIN].vae, drawn(1, 128, 40, 36)
    decoded: list[torch.Size] = []
    handle = vae.decoder.register_forward_hook(lambda _, __, image: decoded.append(image.shape))
    with torch.no_grad():
        whole, tiled = (Flux2().decode(vae, given, tiled=each) for each in (False, True))
    handle.remove()
    assert whole.shape == tiled.shape == (1, 3, 640, 576)
    assert [tuple(shape[2:]) for shape in decoded[:2]] == [(640, 576), (512, 512)]
    assert (whole - tiled).abs().mean() < whole.std() / 4
