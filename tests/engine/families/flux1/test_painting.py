"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from bot.request import Hires, InitImage
from catalog.families.flux1 import FLUX1
from tests.engine.factories import catalog, model, opened, paint, picture, request
from tests.engine.families.flux1.conftest import DEV, KONTEXT, SCHNELL
from tests.parameters import mostly_long

PROMPT = "a fox in the snow"
GUIDANCE = {SCHNELL: 1.0, DEV: 3.5, KONTEXT: 2.5}


def entry(name: str) -> Any:
    return model("x", name, family=FLUX1)


def painted(engine: Engine, name: str, **fields: Any) -> Any:
    """The pixels of one request."""
    wanted = request(model="x", **{"guidance": GUIDANCE[name], "steps": 4, **fields})
    (image,) = paint(engine, wanted, catalog([entry(name)])).images
    return np.asarray(image.image)


def expected(pipe: Any, name: str, **options: Any) -> Any:
    """The pixels of the stock pipeline."""
    import torch

    usual: dict[str, Any] = {"height": 64, "width": 64, "num_inference_steps": 4}
    usual["guidance_scale"] = GUIDANCE[name]
    usual["generator"] = torch.Generator().manual_seed(11)
    usual["max_sequence_length"] = 256 if name == SCHNELL else 512
    (image,) = pipe(**{"prompt": PROMPT, **usual, **options}).images
    return np.asarray(image)


@pytest.mark.parametrize("name", [SCHNELL, DEV])
@pytest.mark.parametrize("size", mostly_long([((96, 80),), ((64, 64),)], usual=1))
@pytest.mark.parametrize("steps", mostly_long([1, 4], usual=[4]))
def test_an_image(
    painter: Engine, stock: dict[str, Any], name: str, size: tuple[int, int], steps: int
) -> None:
    width, height = size
    ours = painted(painter, name, width=width, height=height, steps=steps)
    theirs = expected(stock[name], name, width=width, height=height, num_inference_steps=steps)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


def test_dev_is_told_its_guidance(painter: Engine, stock: dict[str, Any]) -> None:
    ours = painted(painter, DEV, guidance=8.0)
    assert (ours != expected(stock[DEV], DEV, guidance_scale=8.0)).sum() == 0
    assert (ours != painted(painter, DEV)).any()


def test_what_is_told_none_can_be_guided_by_a_negative_prompt(
    painter: Engine, stock: dict[str, Any]
) -> None:
    """As of schnell, models were made that were trained for it once more."""
    ours = painted(painter, SCHNELL, guidance=4.0, negative="blurry")
    told = {"negative_prompt": "blurry", "true_cfg_scale": 4.0}
    assert (ours != expected(stock[SCHNELL], SCHNELL, **told)).sum() == 0
    assert (ours != painted(painter, SCHNELL)).any()


@pytest.fixture(scope="module")
def from_images(stock: dict[str, Any]) -> dict[str, Any]:
    """The stock pipelines that start from an image, with the same networks."""
    from diffusers import FluxImg2ImgPipeline

    loaded = {name: FluxImg2ImgPipeline(**stock[name].components) for name in (SCHNELL, DEV)}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    return loaded


@pytest.mark.parametrize("name", [SCHNELL, DEV])
@pytest.mark.parametrize("strength", mostly_long([0.5, 0.75], usual=[0.5]))
def test_from_an_image(
    painter: Engine, from_images: dict[str, Any], name: str, strength: float
) -> None:
    sha256 = picture()
    ours = painted(painter, name, init_image=InitImage(sha256, strength))
    theirs = expected(from_images[name], name, image=opened(sha256), strength=strength)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


def test_a_second_pass_starts_from_the_enlarged_image(
    painter: Engine, from_images: dict[str, Any]
) -> None:
    import PIL.Image
    import torch

    first = PIL.Image.fromarray(painted(painter, DEV))
    large = first.resize((96, 96), PIL.Image.Resampling.LANCZOS)
    ours = painted(painter, DEV, hires=Hires(1.5, 0.5, 4))
    drawn = torch.Generator().manual_seed(11)
    torch.randn(1, 16, 8, 8, generator=drawn)  # what the first pass started from
    again = {"image": large, "strength": 0.5, "width": 96, "height": 96}
    theirs = expected(from_images[DEV], DEV, generator=drawn, **again)
    assert ours.shape == (96, 96, 3)
    assert (ours != theirs).sum() == 0


def test_each_of_several_images_is_as_if_it_was_alone(
    painter: Engine, stock: dict[str, Any]
) -> None:
    import torch

    there = catalog([entry(DEV)])
    wanted = request(model="x", guidance=3.5, steps=2, count=2)
    for number, image in enumerate(paint(painter, wanted, there).images):
        drawn = torch.Generator().manual_seed(wanted.image_seed(number))
        theirs = expected(stock[DEV], DEV, generator=drawn, num_inference_steps=2)
        assert (np.asarray(image.image) != theirs).sum() == 0


SIZES = ((64, 96), (96, 96), (96, 64))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are scaled to one of SIZES, by the stock pipeline as well."""
    from diffusers.pipelines.flux import pipeline_flux_kontext as theirs

    from bot.engine.families.flux1 import references

    assert [*references.SIZES] == theirs.PREFERRED_KONTEXT_RESOLUTIONS
    monkeypatch.setattr(theirs, "PREFERRED_KONTEXT_RESOLUTIONS", SIZES)
    monkeypatch.setattr(references, "SIZES", SIZES)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("size", mostly_long([((150, 97),), ((64, 64),), ((50, 90),)], usual=1))
def test_kontext_looks_at_a_picture(
    painter: Engine, stock: dict[str, Any], size: tuple[int, int]
) -> None:
    sha256 = picture(size, 3)
    ours = painted(painter, KONTEXT, pictures=(sha256,))
    theirs = expected(stock[KONTEXT], KONTEXT, image=opened(sha256), max_area=64 * 64)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter, KONTEXT, pictures=(picture(size, 4),))).any()


def test_kontext_also_paints_without_one(painter: Engine, stock: dict[str, Any]) -> None:
    theirs = expected(stock[KONTEXT], KONTEXT, max_area=64 * 64)
    assert (painted(painter, KONTEXT) != theirs).sum() == 0
