"""Latents between the VAE, the transformer and the eye."""

from typing import Any

import numpy as np
import pytest
import torch

from bot.engine.families.zimage import ZImage
from bot.engine.preview import picture
from tests.engine.families.zimage.conftest import TURBO


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_the_vaes_shift_and_factor_scale_and_unscale(stock: dict[str, Any]) -> None:
    family, vae, given = ZImage(), stock[TURBO].vae, drawn(1, 16, 6, 8)
    scaled = family.scaled(vae, given)
    assert torch.equal(scaled, (given - 0.1159) * 0.3611)
    with torch.no_grad():
        back = family.decode(vae, scaled, tiled=False)
        theirs = vae.decode(scaled / 0.3611 + 0.1159).sample
    assert torch.equal(back, theirs)


def test_a_preview_is_as_large_as_the_latents() -> None:
    family = ZImage()
    assert family.latent_shape((1024, 512)) == (1, 16, 64, 128)
    small = picture(family.previewed(None, drawn(1, 16, 6, 8)), family.preview)
    assert small.size == (8, 6)
    assert np.asarray(small).std() > 5
    nothing = picture(family.previewed(None, torch.zeros(1, 16, 1, 1)), family.preview)
    assert nothing.getpixel((0, 0)) == (123, 118, 116)


@pytest.mark.long
def test_a_large_image_is_decoded_and_encoded_in_tiles(stock: dict[str, Any]) -> None:
    vae, given, family = stock[TURBO].vae, drawn(1, 16, 80, 72), ZImage()
    decoded: list[torch.Size] = []
    handle = vae.decoder.register_forward_hook(lambda _, __, image: decoded.append(image.shape))
    with torch.no_grad():
        whole, tiled = (family.decode(vae, given, tiled=each) for each in (False, True))
        handle.remove()
        assert whole.shape == tiled.shape == (1, 3, 640, 576)
        assert [tuple(shape[2:]) for shape in decoded[:2]] == [(640, 576), (512, 512)]
        assert (whole - tiled).abs().mean() < whole.std() / 4
        pixels = whole.clamp(-1, 1)
        one, other = (family.distribution(vae, pixels, tiled=t).mode() for t in (False, True))
    assert one.shape == other.shape == (1, 16, 80, 72)
    assert not torch.equal(one, other)
    assert (one - other).abs().mean() < one.std() / 4
