"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from tests.engine.factories import catalog, model, paint, request
from tests.engine.families.zimage.conftest import DYNAMIC, TURBO

PROMPT = "a fox in the snow"


def painted(engine: Engine, name: str, **fields: Any) -> Any:
    """The pixels of one request."""
    wanted = request(model="x", **{"guidance": 1.0, "steps": 4, **fields})
    (image,) = paint(engine, wanted, catalog([model("x", name)])).images
    return np.asarray(image.image)


def expected(pipe: Any, **options: Any) -> Any:
    """The pixels of the stock pipeline. Its guidance counts from 0."""
    import torch

    usual = {"height": 64, "width": 64, "num_inference_steps": 4, "guidance_scale": 0.0}
    seed = torch.Generator().manual_seed(11)
    (image,) = pipe(generator=seed, **{"prompt": PROMPT, **usual, **options}).images
    return np.asarray(image)


@pytest.mark.parametrize("name", [TURBO, DYNAMIC])
@pytest.mark.parametrize("size", [(64, 64), (96, 80)])
@pytest.mark.parametrize("steps", [1, 4])
def test_without_guidance(
    painter: Engine, stock: dict[str, Any], name: str, size: tuple[int, int], steps: int
) -> None:
    width, height = size
    ours = painted(painter, name, width=width, height=height, steps=steps)
    theirs = expected(stock[name], width=width, height=height, num_inference_steps=steps)
    assert ours.std() > 20
    assert (ours != theirs).sum() == 0


@pytest.mark.parametrize("negative", ["", "blurry, and a good deal longer than the prompt " * 3])
def test_guided_by_a_negative_prompt_of_any_length(
    painter: Engine, stock: dict[str, Any], negative: str
) -> None:
    ours = painted(painter, TURBO, guidance=5.0, negative=negative)
    theirs = expected(stock[TURBO], guidance_scale=4.0, negative_prompt=negative)
    assert (ours != theirs).sum() == 0
    assert (ours != painted(painter, TURBO)).any()
