"""A part of an image is kept while the rest is generated."""

import hashlib
import io
from typing import Any

import numpy as np
import PIL.Image
import pytest

from bot.engine import Engine
from bot.request import Box, InitImage
from tests.engine import factories
from tests.engine.factories import TINY, digests, opened, paint, picture, plain_pipeline, request
from tests.engine.test_pictures import CONFIG, KINDS
from tests.parameters import mostly_long

SIZE = (64, 64)
MIDDLE = (16, 16, 48, 48)
SEAM = 8
"""Of an image that small."""


def mask(
    white: tuple[int, int, int, int] = MIDDLE, size: tuple[int, int] = SIZE, level: int = 255
) -> str:
    """Store a mask that is white in that rectangle; returns its sha256."""
    image = PIL.Image.new("L", size)
    image.paste(level, white)
    file = io.BytesIO()
    image.save(file, "PNG")
    sha256 = hashlib.sha256(file.getvalue()).hexdigest()
    factories.KEPT[sha256] = file.getvalue()
    return sha256


def pixels(image: PIL.Image.Image) -> Any:
    return np.asarray(image.convert("RGB"), int)


def far_from(white: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Any:
    """Where an image is further from that rectangle than the seam is wide."""
    left, top, right, bottom = white
    far = np.ones(size[::-1], bool)
    far[max(0, top - SEAM) : bottom + SEAM, max(0, left - SEAM) : right + SEAM] = False
    return far


@pytest.fixture(scope="module")
def plain(models_dir: Any) -> Any:
    """The same model in diffusers' pipeline for inpainting."""
    from diffusers import StableDiffusionXLInpaintPipeline

    pipeline = plain_pipeline(models_dir / TINY)
    parts = {name: part for name, part in pipeline.components.items() if part is not None}
    over = StableDiffusionXLInpaintPipeline(**parts)
    over.set_progress_bar_config(disable=True)
    return over


@pytest.mark.parametrize("scheduler", mostly_long(["DPM++ 2M Karras", "DDIM", "Heun"], usual=1))
def test_without_a_seam_the_latents_are_those_of_diffusers(
    engine: Engine, plain: Any, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import diffusers
    import torch

    from bot.engine import inpainting

    monkeypatch.setattr(inpainting, "SEAM_MIN", 0)
    monkeypatch.setattr(inpainting, "SEAMS", 100)
    monkeypatch.setattr(inpainting.Kept, "over", lambda _, painted: painted)
    sha256, masked = picture(SIZE), mask()
    kind, config = KINDS[scheduler]
    plain.scheduler = getattr(diffusers, kind)(**CONFIG, **config)
    theirs = plain(
        "a fox in the snow",
        image=opened(sha256),
        mask_image=opened(masked).convert("L"),
        strength=0.6,
        width=64,
        height=64,
        guidance_scale=5.0,
        num_inference_steps=5,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    asked = request(init_image=InitImage(sha256, 0.6, masked), scheduler=scheduler, steps=5)
    ours = paint(engine, asked).images[0].image
    assert np.abs(pixels(ours) - pixels(theirs)).max() <= 1


@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_what_is_black_in_the_mask_is_kept_exactly(engine: Engine, strength: float) -> None:
    sha256 = picture(SIZE)
    asked = request(init_image=InitImage(sha256, strength, mask()), steps=4)
    painted, before = paint(engine, asked).images[0].image, opened(sha256)
    far = far_from(MIDDLE)
    assert (pixels(painted)[far] == pixels(before)[far]).all()
    assert (pixels(painted)[20:44, 20:44] != pixels(before)[20:44, 20:44]).any(-1).mean() > 0.9
    assert digests(paint(engine, asked)) == digests(paint(engine, asked))


def test_what_is_white_is_as_if_the_seam_were_not_there(engine: Engine) -> None:
    sha256 = picture(SIZE)

    def of(sha: str) -> Any:
        asked = request(init_image=InitImage(sha256, 0.5, sha), steps=4)
        return paint(engine, asked).images[0]

    whole = paint(engine, request(init_image=InitImage(sha256, 0.5), steps=4)).images[0]
    assert of(mask((0, 0, *SIZE))).pixels_sha256 == whole.pixels_sha256
    assert of(mask()).pixels_sha256 != whole.pixels_sha256
    # All of the image is changed at the last step, and some at the first.
    assert of(mask((0, 0, *SIZE), level=128)).pixels_sha256 != whole.pixels_sha256


def test_a_mask_that_is_all_white_begins_with_the_image_at_full_strength_too(
    engine: Engine,
) -> None:
    sha256 = picture(SIZE)
    masked = request(init_image=InitImage(sha256, 1.0, mask((0, 0, *SIZE))), steps=4)
    plain = request(init_image=InitImage(sha256, 1.0), steps=4)
    assert digests(paint(engine, masked)) == digests(paint(engine, plain))


def test_at_full_strength_nothing_of_what_was_there_shows_through(engine: Engine) -> None:
    """Noise does not hide an image entirely: what is masked must not be begun with it."""
    around = PIL.Image.new("RGB", SIZE, (90, 120, 60))
    stored = []
    for colour in ("red", "blue"):
        around.paste(colour, (20, 20, 44, 44))
        file = io.BytesIO()
        around.save(file, "PNG")
        stored.append(hashlib.sha256(file.getvalue()).hexdigest())
        factories.KEPT[stored[-1]] = file.getvalue()

    def digest(sha256: str, strength: float) -> list[str]:
        asked = request(init_image=InitImage(sha256, strength, mask()), steps=2)
        return digests(paint(engine, asked))

    assert digest(stored[0], 1.0) == digest(stored[1], 1.0)
    assert digest(stored[0], 0.9) != digest(stored[1], 0.9)


def test_a_mask_of_another_size_is_scaled_with_its_image(engine: Engine) -> None:
    sha256 = picture((128, 128))
    large = mask((32, 32, 96, 96), (256, 256))
    asked = request(init_image=InitImage(sha256, 1.0, large), steps=2)
    painted = paint(engine, asked).images[0].image
    before = opened(sha256).resize(SIZE, PIL.Image.Resampling.LANCZOS)
    far = far_from((8, 8, 24, 24))
    # One pixel more: it is scaled smoothly.
    far[: 24 + SEAM + 1, : 24 + SEAM + 1] = False
    assert (pixels(painted)[far] == pixels(before)[far]).all()
    assert (pixels(painted)[10:22, 10:22] != pixels(before)[10:22, 10:22]).any()


class TestExtending:
    def test_the_image_stands_where_it_was_put(self, engine: Engine) -> None:
        sha256 = picture(SIZE)
        init = InitImage(sha256, 1.0, None, Box(32, 0, 64, 64))
        painted = paint(engine, request(init_image=init, width=96, steps=2)).images[0].image
        assert painted.size == (96, 64)
        inner = pixels(painted)[:, 32 + SEAM :]
        assert (inner == pixels(opened(sha256))[:, SEAM:]).all()

    def test_it_is_scaled_into_its_box(self, engine: Engine) -> None:
        sha256 = picture(SIZE)
        init = InitImage(sha256, 1.0, None, Box(16, 16, 32, 32))
        painted = paint(engine, request(init_image=init, steps=2)).images[0].image
        small = opened(sha256).resize((32, 32), PIL.Image.Resampling.LANCZOS)
        inner = slice(SEAM, 32 - SEAM)
        kept = pixels(painted)[16:48, 16:48][inner, inner]
        assert (kept == pixels(small)[inner, inner]).all()

    def test_of_the_image_itself_a_mask_changes_more(self, engine: Engine) -> None:
        sha256 = picture(SIZE)
        box = Box(0, 0, 64, 64)

        def painted(sha: str | None) -> Any:
            init = InitImage(sha256, 1.0, sha, box)
            return pixels(
                paint(engine, request(init_image=init, width=96, steps=2)).images[0].image
            )

        before = pixels(opened(sha256))
        middle = np.s_[20:44, 20:44]
        assert (painted(None)[middle] == before[middle]).all()
        assert (painted(mask())[middle] != before[middle]).any()
        assert (painted(mask())[:8, :8] == before[:8, :8]).all()

    @pytest.mark.usefixtures("models_dir")
    def test_what_is_around_begins_with_the_colours_of_its_edge(self) -> None:
        from bot.engine.inpainting import kept_of

        image = PIL.Image.new("RGB", SIZE, "red")
        image.paste("blue", (32, 0, 64, 64))
        init = InitImage("0" * 64, 1.0, None, Box(64, 32, 64, 64))
        kept = kept_of(init, image, None, (192, 128))
        around = pixels(kept.image)
        assert around[64, 8].tolist() == [255, 0, 0]
        assert around[64, 184].tolist() == [0, 0, 255]
        assert (around[32:96, 64:128] == pixels(image)).all()
        assert float(kept.change[64, 96]) == 0.0
        assert float(kept.change[64, 8]) == 1.0
        ramp = kept.change[64, 64:80].tolist()
        assert ramp == sorted(ramp, reverse=True)
        assert ramp[0] < 1.0 == float(kept.change[64, 63])


@pytest.mark.usefixtures("models_dir")
def test_the_seam_is_released_step_by_step() -> None:
    import torch

    from bot.engine import sampling
    from bot.engine.inpainting import Kept

    change = torch.zeros(64, 64)
    for column, level in enumerate((1.0, 0.7, 0.4, 0.1, 0.0)):
        change[:, column * 8 : column * 8 + 8] = level
    kept = Kept(PIL.Image.new("RGB", SIZE), change)
    scheduler = sampling.build("Euler", CONFIG, 4)
    scheduler.set_timesteps(4)
    keep = kept.keep(
        scheduler, scheduler.timesteps, torch.zeros(1, 4, 8, 8), torch.zeros(1, 4, 8, 8)
    )
    free = [keep(torch.ones(1, 4, 8, 8), done)[0, 0, 0, :5].tolist() for done in range(5)]
    assert free == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 0],
    ]
