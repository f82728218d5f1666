"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from bot.request import Draft, Hires, InitImage, compose_with_notes
from catalog.families.flux2 import FLUX2
from tests.engine.factories import catalog, model, opened, paint, picture, request
from tests.engine.families.flux2.conftest import BASE, KLEIN
from tests.parameters import mostly_long


def painted(engine: Engine, name: str, **fields: Any) -> Any:
    """The pixels of one request."""
    wanted = request(model="x", **{"guidance": 1.0, "steps": 4, **fields})
    (image,) = paint(engine, wanted, catalog([model("x", name)])).images
    return np.asarray(image.image)


def expected(pipe: Any, **options: Any) -> Any:
    """The pixels of the stock pipeline."""
    import torch

    usual = {"height": 64, "width": 64, "num_inference_steps": 4}
    seed = torch.Generator().manual_seed(11)
    (image,) = pipe(generator=seed, **{**usual, **options}).images
    return np.asarray(image)


@pytest.mark.parametrize("size", [(64, 64), (96, 80)])
@pytest.mark.parametrize("steps", mostly_long([1, 4], usual=[4]))
def test_distilled(
    painter: Engine, stock: dict[str, Any], size: tuple[int, int], steps: int
) -> None:
    width, height = size
    ours = painted(painter, KLEIN, width=width, height=height, steps=steps)
    theirs = expected(
        stock[KLEIN],
        prompt="a fox in the snow",
        width=width,
        height=height,
        num_inference_steps=steps,
    )
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


def test_base_is_guided(painter: Engine, stock: dict[str, Any]) -> None:
    ours = painted(painter, BASE, guidance=4.0)
    theirs = expected(stock[BASE], prompt="a fox in the snow", guidance_scale=4.0)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter, BASE)).any()


def test_over_an_image_the_last_steps_are_run(painter: Engine, stock: dict[str, Any]) -> None:
    import torch
    from diffusers.utils.torch_utils import randn_tensor

    from bot.engine.families.flux2 import latents, schedule

    sha256, pipe = picture(), stock[KLEIN]
    generator = torch.Generator().manual_seed(11)
    with torch.no_grad():
        pixels = pipe.image_processor.preprocess(opened(sha256))
        drawn = pipe.vae.encode(pixels).latent_dist.sample(generator)
        clean = latents.scaled(pipe.vae, drawn)
    noise = randn_tensor((1, 128, 4, 4), generator=generator)
    ease = np.exp(schedule.shift(16, 4))
    level = float(np.float32(ease / (ease + (1 / 0.5 - 1))))
    theirs = expected(
        pipe,
        prompt="a fox in the snow",
        latents=level * noise + (1.0 - level) * clean,
        sigmas=[0.5, 0.25],
    )
    ours = painted(painter, KLEIN, init_image=InitImage(sha256, 0.5))
    assert np.abs(ours.astype(int) - theirs).max() <= 1


def test_a_second_pass_enlarges(painter: Engine) -> None:
    ours = painted(painter, KLEIN, hires=Hires(2.0, 0.5, 4))
    assert ours.shape == (128, 128, 3)
    assert (ours == painted(painter, KLEIN, hires=Hires(2.0, 0.5, 4))).all()
    assert ours.std() > 20


@pytest.mark.parametrize(
    "prompt", mostly_long(["[a fox:a dog:2]", "a (fox:1.3) BREAK [snow]"], usual=1)
)
def test_brackets_are_read_as_they_are_and_a_note_says_so(
    painter: Engine, stock: dict[str, Any], prompt: str
) -> None:
    known = catalog([model("x", KLEIN, family=FLUX2)])
    draft = Draft(prompt=prompt, model="x", seed=11, steps=4, size="64x64")
    composed = compose_with_notes(draft, known, nsfw=False)
    assert [note.code for note in composed.notes] == ["dialect.plain"]
    (image,) = paint(painter, composed.request, known).images
    theirs = expected(stock[KLEIN], prompt=prompt)
    assert (np.asarray(image.image) != theirs).sum() == 0
    assert (theirs != expected(stock[KLEIN], prompt="a fox")).any()


@pytest.mark.long
def test_bases_negative_prompt_is_read(painter: Engine) -> None:
    empty, typed = (painted(painter, BASE, guidance=4.0, negative=each) for each in ("", "a dog"))
    assert (empty != typed).any()
