"""What is generated equals what the stock pipeline generates, to the last bit, in fp32."""

from typing import Any

import numpy as np
import pytest

from bot.engine import Engine
from tests.engine.factories import catalog, model, paint, request
from tests.engine.families.flux2.conftest import BASE, KLEIN


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
@pytest.mark.parametrize("steps", [1, 4])
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
