"""Images whose opposite edges meet, and that other images notice nothing of it."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.overrides import _get_current_function_mode_stack

from bot.engine import Engine, seamless
from bot.engine.families import autoencoder
from bot.engine.families.sdxl.memory import WHOLE
from bot.engine.memory import Profile
from bot.errors import PaintStopped, StopReason
from bot.request import AYS, Hires, InitImage
from catalog import Catalog
from tests.engine.circular import circular, convolutions
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    model,
    paint,
    picture,
    plain_pipeline,
    request,
    resident,
)
from tests.parameters import mostly_long

SHOWN: dict[str, Any] = {
    "model": "flat",
    "prompt": "a red star on a blue background",
    "width": 128,
    "height": 128,
    "steps": 12,
    "guidance": 4.0,
    "seed": 7,
}
OVER = Hires(1.5, 0.5, 6)
NEAR = 8
"""Pixels."""
ROUNDED = 0.3
"""Of 255; what plain colours differ by."""


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    return plain_pipeline(models_dir / TINY)


@pytest.fixture(scope="module")
def demo() -> Catalog:
    """The demo model that is shipped."""
    return catalog([model("flat", "builtin:flat")])


def pixels(engine: Engine, offered: Catalog, **fields: Any) -> Any:
    painted = paint(engine, request(**{**SHOWN, **fields}), offered)
    return np.asarray(painted.images[0].image, np.float64)


def meets(image: Any) -> bool:
    """Whether no step across a seam is larger than those beside it: as far as latents reach."""
    for axis in (0, 1):
        apart = np.abs(image - np.roll(image, 1, axis)).mean(axis=(1 - axis, 2))
        if apart[0] > 1.1 * max(*apart[1 : NEAR + 1], *apart[-NEAR:]) + ROUNDED:
            return False
    return True


class TestEdges:
    @pytest.mark.parametrize(
        "prompt",
        mostly_long([SHOWN["prompt"], "a yellow moon over a blue sea at night"], usual=1),
    )
    @pytest.mark.parametrize("hires", [None, OVER], ids=["once", "hires"])
    def test_they_meet(
        self, engine: Engine, demo: Catalog, prompt: str, hires: Hires | None
    ) -> None:
        assert not meets(pixels(engine, demo, prompt=prompt, hires=hires))
        assert meets(pixels(engine, demo, prompt=prompt, hires=hires, tile=True))

    def test_they_meet_where_an_image_is_started_from(self, engine: Engine, demo: Catalog) -> None:
        over = InitImage(picture((128, 128), seed=5), 0.7)
        assert not meets(pixels(engine, demo, init_image=over))
        assert meets(pixels(engine, demo, init_image=over, tile=True))

    def test_they_meet_in_tiles(
        self, engine: Engine, demo: Catalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(autoencoder, "TILE", 64)
        monkeypatch.setattr(seamless, "OVERLAP", 16)
        monkeypatch.setitem(WHOLE, Profile.FULL, 64 * 64)
        image = pixels(engine, demo, tile=True, hires=OVER)
        assert image.shape == (192, 192, 3)
        assert resident(engine).vae.use_tiling
        assert meets(image)


class TestNetworks:
    """What is moved around before a network is moved around behind it, which tells that it has no
    edges."""

    def test_decoding(self, engine: Engine) -> None:
        paint(engine, request())
        vae = resident(engine).vae
        latents = torch.randn((1, 4, 8, 10), generator=torch.Generator().manual_seed(0))
        moved = torch.roll(latents, (3, 2), (2, 3))

        def decoded(latents: torch.Tensor) -> torch.Tensor:
            return seamless.decoded(lambda x: vae.decode(x).sample, latents, 8, tiled=False)

        vae.use_tiling = False
        with torch.inference_mode():
            same = torch.roll(decoded(latents), (24, 16), (2, 3))
            torch.testing.assert_close(decoded(moved), same, rtol=0, atol=1e-4)
            edged = torch.roll(vae.decode(latents).sample, (24, 16), (2, 3))
            assert (vae.decode(moved).sample - edged).abs().max() > 0.01

    def test_encoding(self, engine: Engine) -> None:
        paint(engine, request())
        vae = resident(engine).vae
        image = torch.rand((1, 3, 64, 80), generator=torch.Generator().manual_seed(0)) * 2 - 1
        moved = torch.roll(image, (24, 16), (2, 3))

        def encoded(image: torch.Tensor) -> torch.Tensor:
            found = seamless.distribution(
                lambda x: vae.encode(x).latent_dist, image, 8, tiled=False
            )
            parameters: torch.Tensor = found.parameters
            return parameters

        vae.use_tiling = False
        with torch.inference_mode():
            same = torch.roll(encoded(image), (3, 2), (2, 3))
            torch.testing.assert_close(encoded(moved), same, rtol=0, atol=1e-4)

    @pytest.mark.parametrize("side", ["decoded", "distribution"])
    def test_in_tiles_nothing_is_moved_or_lost(self, side: str) -> None:
        """Of an image as it is, which is blended with itself."""
        image = torch.rand((1, 4, 40, 48), generator=torch.Generator().manual_seed(0))

        class Itself:
            def __init__(self, parameters: torch.Tensor) -> None:
                self.parameters = parameters

        if side == "decoded":
            found = seamless.decoded(lambda x: x, image, 1, tiled=True)
        else:
            found = seamless.distribution(Itself, image, 1, tiled=True).parameters
        torch.testing.assert_close(found, image)


@pytest.mark.parametrize(
    "fields", mostly_long([{}, {"guidance": 1.0}, {"width": 72}, {"height": 88}], usual=1)
)
def test_they_are_what_wrapped_convolutions_of_diffusers_paint(
    engine: Engine, plain: Any, fields: dict[str, Any]
) -> None:
    asked = request(**fields)
    with circular(plain.unet, plain.vae):
        theirs = plain(
            asked.prompt,
            guidance_scale=asked.guidance,
            num_inference_steps=asked.steps,
            width=asked.width,
            height=asked.height,
            generator=torch.Generator().manual_seed(asked.seed),
        ).images[0]
    ours = paint(engine, request(**fields, tile=True)).images[0]
    assert ours.image.tobytes() == theirs.tobytes()
    assert [ours.pixels_sha256] != digests(paint(engine, asked))


@pytest.mark.parametrize("part", ["hires", "init_image"])
def test_what_is_painted_over_has_no_edges_either(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    fields = {part: OVER if part == "hires" else InitImage(picture(seed=5), 0.7)}
    encoded: list[object] = []
    real = seamless.distribution

    def watched(*args: Any, **kwargs: Any) -> Any:
        encoded.append(args)
        return real(*args, **kwargs)

    monkeypatch.setattr(seamless, "distribution", watched)
    paint(engine, request(**fields))
    assert encoded == []
    paint(engine, request(**fields, tile=True))
    assert len(encoded) == 1


class TestOthers:
    def test_they_keep_their_bytes(self, engine: Engine) -> None:
        plain, other = request(), request(hires=OVER, spacing=AYS)
        before = digests(paint(engine, plain)), digests(paint(engine, other))
        own = digests(paint(engine, request(tile=True)))
        assert (digests(paint(engine, plain)), digests(paint(engine, other))) == before
        assert digests(paint(engine, request(tile=True))) == own
        assert own != before[0]

    @pytest.mark.parametrize("checks", [0, 3, 6, 8])
    def test_nothing_is_left_of_one_that_was_stopped(self, engine: Engine, checks: int) -> None:
        before = digests(paint(engine, request()))
        left = checks

        def check_stop() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise PaintStopped(StopReason.CANCELLED)

        with pytest.raises(PaintStopped):
            paint(engine, request(tile=True, hires=OVER), check_stop=check_stop)
        stack: Any = _get_current_function_mode_stack
        assert stack() == []
        own = resident(engine)
        assert {each.padding_mode for each in convolutions(own.denoiser, own.vae)} == {"zeros"}
        assert digests(paint(engine, request())) == before

    def test_other_threads_notice_nothing(self) -> None:
        layer = torch.nn.Conv2d(3, 3, 3, padding=1)
        image = torch.rand(1, 3, 8, 8)
        seen: list[torch.Tensor] = []
        with torch.no_grad():
            before = layer(image)
            with seamless.wrapping(True):
                other = threading.Thread(target=lambda: seen.append(layer(image).detach()))
                other.start()
                other.join()
                assert not torch.equal(layer(image), before)
            assert torch.equal(layer(image), before)
        assert torch.equal(seen[0], before)
