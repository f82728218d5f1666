"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from bot.request import Hires, InitImage
from tests.engine.factories import catalog, model, opened, paint, picture, request
from tests.engine.families.anima.conftest import BASE
from tests.parameters import mostly_long

PROMPT = "a fox in the snow"


def painted(engine: Engine, name: str = BASE, **fields: Any) -> Any:
    """The pixels of one request."""
    wanted = request(model="x", **{"guidance": 1.0, "steps": 4, **fields})
    (image,) = paint(engine, wanted, catalog([model("x", name)])).images
    return np.asarray(image.image)


def expected(pipe: Any, *, guidance: float = 1.0, **options: Any) -> Any:
    """The pixels of the stock pipeline."""
    import torch
    from diffusers import ClassifierFreeGuidance

    pipe.update_components(guider=ClassifierFreeGuidance(guidance_scale=guidance))
    usual: dict[str, Any] = {"prompt": PROMPT, "height": 64, "width": 64, "num_inference_steps": 4}
    usual["generator"] = torch.Generator().manual_seed(11)
    (image,) = pipe(**{**usual, **options}).images
    return np.asarray(image)


@pytest.mark.parametrize("size", [(64, 64), (96, 80)])
@pytest.mark.parametrize("steps", mostly_long([1, 4], usual=[4]))
def test_without_guidance(
    painter: Engine, stock: dict[str, Any], size: tuple[int, int], steps: int
) -> None:
    width, height = size
    ours = painted(painter, width=width, height=height, steps=steps)
    theirs = expected(stock[BASE], width=width, height=height, num_inference_steps=steps)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


@pytest.mark.parametrize(
    "negative", mostly_long(["", "blurry, and a good deal longer than the prompt"], usual=1)
)
def test_guided_by_a_negative_prompt(painter: Engine, stock: dict[str, Any], negative: str) -> None:
    ours = painted(painter, guidance=4.5, negative=negative)
    theirs = expected(stock[BASE], guidance=4.5, negative_prompt=negative)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter)).any()


def test_weights_count_and_prompts_change_on_the_way(painter: Engine) -> None:
    usual = painted(painter)
    assert (painted(painter, prompt="a (fox:1.0) in the snow") == usual).all()
    assert (painted(painter, prompt="a (fox:1.5) in the snow") != usual).any()
    changing = painted(painter, prompt="a [fox:dog:0.5] in the snow")
    for prompt in (PROMPT, "a dog in the snow"):
        assert (painted(painter, prompt=prompt) != changing).any()


def test_without_a_word(painter: Engine, stock: dict[str, Any]) -> None:
    ours = painted(painter, prompt="", guidance=4.5, negative="a dog")
    theirs = expected(stock[BASE], prompt="", guidance=4.5, negative_prompt="a dog")
    assert (ours != theirs).sum() == 0


@pytest.mark.parametrize("strength", mostly_long([0.5, 0.75], usual=[0.5]))
def test_from_an_image(painter: Engine, stock: dict[str, Any], strength: float) -> None:
    sha256 = picture()
    ours = painted(painter, guidance=4.5, init_image=InitImage(sha256, strength))
    theirs = expected(stock[BASE], guidance=4.5, image=opened(sha256), strength=strength)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter, guidance=4.5)).any()


@pytest.mark.long
def test_a_second_pass_starts_from_the_enlarged_image(
    painter: Engine, stock: dict[str, Any]
) -> None:
    import PIL.Image
    import torch

    first = PIL.Image.fromarray(painted(painter, guidance=4.5))
    large = first.resize((96, 96), PIL.Image.Resampling.LANCZOS)
    ours = painted(painter, guidance=4.5, hires=Hires(1.5, 0.5, 4))
    drawn = torch.Generator().manual_seed(11)
    torch.randn(1, 16, 1, 8, 8, generator=drawn)  # what the first pass started from
    again = {"image": large, "strength": 0.5, "width": 96, "height": 96}
    theirs = expected(stock[BASE], guidance=4.5, generator=drawn, **again)
    assert ours.shape == (96, 96, 3)
    assert (ours != theirs).sum() == 0
