"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from bot.request import Hires, InitImage
from tests.engine.factories import catalog, model, opened, paint, picture, request
from tests.engine.families.chroma.conftest import HD, SHIFTED
from tests.engine.families.chroma.stock import exact, room
from tests.parameters import mostly_long

PROMPT = "a fox in the snow"


def painted(engine: Engine, name: str, **fields: Any) -> Any:
    """The pixels of one request."""
    wanted = request(model="x", **{"guidance": 1.0, "steps": 4, **fields})
    (image,) = paint(engine, wanted, catalog([model("x", name)])).images
    return np.asarray(image.image)


def expected(pipe: Any, **options: Any) -> Any:
    """The pixels of the stock pipeline, with no more padding than it looks at."""
    import torch

    usual: dict[str, Any] = {"height": 64, "width": 64, "num_inference_steps": 4}
    usual |= {"guidance_scale": 1.0, "prompt": PROMPT}
    usual["generator"] = torch.Generator().manual_seed(11)
    wanted = {"max_sequence_length": room(pipe, PROMPT), **usual, **options}
    (image,) = pipe(**wanted).images
    return np.asarray(image)


@pytest.mark.parametrize("name", [HD, SHIFTED])
@pytest.mark.parametrize("size", mostly_long([((96, 80),), ((64, 64),)], usual=1))
@pytest.mark.parametrize("steps", mostly_long([1, 4], usual=[4]))
def test_without_guidance(
    painter: Engine, stock: dict[str, Any], name: str, size: tuple[int, int], steps: int
) -> None:
    width, height = size
    ours = painted(painter, name, width=width, height=height, steps=steps)
    theirs = expected(stock[name], width=width, height=height, num_inference_steps=steps)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


def test_guided_by_a_negative_prompt(painter: Engine, stock: dict[str, Any]) -> None:
    negative = "the snow in a fox"
    assert room(stock[HD], negative) == room(stock[HD], PROMPT)
    ours = painted(painter, HD, guidance=5.0, negative=negative)
    theirs = expected(stock[HD], guidance_scale=5.0, negative_prompt=negative)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter, HD)).any()


def test_no_padding_but_one_token_is_looked_at(painter: Engine, stock: dict[str, Any]) -> None:
    """Of prompts of different lengths, or of as many as there is room for, a mask leaves as much;
    what is rounded differs."""
    for options in ({"negative_prompt": "dog"}, {"max_sequence_length": 512}):
        negative = options.get("negative_prompt", "")
        ours = painted(painter, HD, guidance=5.0, negative=negative).astype(int)
        theirs = expected(stock[HD], guidance_scale=5.0, **options)
        assert abs(ours - theirs).max() <= 1
    without = expected(
        stock[HD], guidance_scale=5.0, max_sequence_length=room(stock[HD], PROMPT) - 1
    )
    assert abs(ours - without).max() > 1


@pytest.fixture(scope="module")
def from_images(stock: dict[str, Any]) -> dict[str, Any]:
    """The stock pipelines that start from an image, with the same networks."""
    from diffusers import ChromaImg2ImgPipeline

    return {name: exact(ChromaImg2ImgPipeline(**pipe.components)) for name, pipe in stock.items()}


@pytest.mark.parametrize("name", [HD, SHIFTED])
@pytest.mark.parametrize("strength", mostly_long([0.5, 0.75], usual=[0.5]))
def test_from_an_image(
    painter: Engine, from_images: dict[str, Any], name: str, strength: float
) -> None:
    sha256 = picture()
    ours = painted(painter, name, init_image=InitImage(sha256, strength))
    theirs = expected(from_images[name], image=opened(sha256), strength=strength)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


def test_a_second_pass_starts_from_the_enlarged_image(
    painter: Engine, from_images: dict[str, Any]
) -> None:
    import PIL.Image
    import torch

    first = PIL.Image.fromarray(painted(painter, HD))
    large = first.resize((96, 96), PIL.Image.Resampling.LANCZOS)
    ours = painted(painter, HD, hires=Hires(1.5, 0.5, 4))
    drawn = torch.Generator().manual_seed(11)
    torch.randn(1, 16, 8, 8, generator=drawn)  # what the first pass started from
    again = {"image": large, "strength": 0.5, "width": 96, "height": 96}
    theirs = expected(from_images[HD], generator=drawn, **again)
    assert ours.shape == (96, 96, 3)
    assert (ours != theirs).sum() == 0
