"""Latents between the VAE, the transformer and the eye."""

from typing import Any

import numpy as np
import pytest
import torch

from bot.engine.environment import Place
from bot.engine.families import qwen_vae
from bot.engine.families.anima import Anima, conditioning
from bot.engine.kernels import Shape
from bot.engine.preview import picture
from tests.engine.families.anima.conftest import BASE
from tests.engine.families.anima.test_text import built


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_means_and_deviations_scale_and_unscale(stock: dict[str, Any]) -> None:
    vae, given, family = stock[BASE].vae, drawn(1, 16, 3, 4), Anima()
    scaled = family.scaled(vae, given)
    assert torch.allclose(scaled[0, 1], (given[0, 1] + 0.7089) / 1.4541)
    generator = torch.Generator()
    before = generator.get_state()
    pixels = drawn(1, 3, 24, 32).clamp(-1, 1)
    with torch.no_grad():
        distribution = family.distribution(vae, pixels, tiled=False)
        latents = distribution.sample(generator)
        assert torch.equal(latents, vae.encode(pixels.unsqueeze(2)).latent_dist.mode()[:, :, 0])
        back = family.decode(vae, family.scaled(vae, latents), tiled=False)
        theirs = vae.decode(latents.unsqueeze(2)).sample[:, :, 0]
    assert torch.equal(generator.get_state(), before)
    assert torch.allclose(back, theirs, atol=1e-5)


TILE = 64


@pytest.mark.parametrize("size", [(TILE, TILE), (TILE + 48, TILE - 32)])
def test_a_large_image_is_decoded_and_encoded_in_tiles(
    stock: dict[str, Any], monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.setattr(qwen_vae, "TILE", TILE)
    family, theirs = Anima(), stock[BASE].vae
    ours = built("vae", theirs)
    width, height = size
    given = drawn(*family.latent_shape(size))
    theirs.enable_tiling(TILE, TILE, TILE * 3 // 4, TILE * 3 // 4)
    with torch.no_grad():
        mean, deviation = (
            torch.tensor(values).view(1, 16, 1, 1)
            for values in (theirs.config.latents_mean, theirs.config.latents_std)
        )
        unscaled = given / (1.0 / deviation) + mean
        wanted = theirs.decode(unscaled.unsqueeze(2)).sample[:, :, 0]
        tiled = family.decode(ours, given, tiled=True)
        whole = family.decode(ours, given, tiled=False)
        assert tiled.shape == (1, 3, height, width)
        assert torch.equal(tiled, wanted)
        assert torch.equal(tiled, whole) == (max(size) <= TILE)
        wanted = theirs.encode(wanted.unsqueeze(2)).latent_dist.mode()[:, :, 0]
        assert torch.equal(family.distribution(ours, tiled, tiled=True).mode(), wanted)
    theirs.use_tiling = False


def test_a_preview_is_as_large_as_the_latents() -> None:
    family = Anima()
    assert family.latent_shape((1024, 512)) == (1, 16, 64, 128)
    small = picture(family.previewed(None, drawn(1, 16, 6, 8)), family.preview)
    assert small.size == (8, 6)
    assert np.asarray(small).std() > 5
    nothing = picture(family.previewed(None, torch.zeros(1, 16, 1, 1)), family.preview)
    assert nothing.getpixel((0, 0)) == (104, 116, 84)


def test_what_is_rehearsed_is_what_is_painted(stock: dict[str, Any]) -> None:
    transformer, calls = built("transformer", stock[BASE].transformer), []

    def denoiser(**given: Any) -> Any:
        tensors = {name: each for name, each in given.items() if isinstance(each, torch.Tensor)}
        calls.append({name: (each.shape, each.dtype) for name, each in tensors.items()})
        return transformer(**given)

    with torch.no_grad():
        conditioning.rehearse(transformer, Place("cpu", "auto"), denoiser, Shape(2, 512, 64, 48))
        prompts = (drawn(1, 512, 16), drawn(1, 512, 16))
        painted = conditioning.Conditioning(prompts)
        painted.predict(denoiser, drawn(2, 16, 6, 8), torch.tensor(3.0))
    assert (painted.rows, painted.tokens) == (2, 512)
    assert calls == calls[:1] * 3
