"""How large the parts of the families are; denoisers and VAEs are judged in `lacking`."""

from collections.abc import Callable
from math import prod
from typing import Final

import pytest

from catalog.families import FAMILIES, VAE
from tests.catalog.weight_files.headers import shapes_of
from tests.engine.families.unet import true_models


def qwen3(width: int, inner: int, heads: int, layers: int) -> int:
    """Parameters of a Qwen3 with 8 heads of keys, each head 128 wide; norms are left out."""
    attention = 2 * width * 128 * (heads + 8)
    return 151_936 * width + layers * (attention + 3 * width * inner)


def t5(width: int, inner: int, layers: int) -> int:
    """Parameters of T5's encoder; norms and the places of tokens are left out."""
    return 32_128 * width + layers * (4 * width**2 + 3 * width * inner)


def clips(key: str) -> list[int]:
    networks = true_models.TRUE[key]()
    return [
        sum(each.numel() for each in module.parameters())
        for name, module in networks.items()
        if name != "unet"
    ]


def conditioner() -> int:
    shapes = shapes_of("anima-original")
    return sum(prod(shape) for name, shape in shapes.items() if name.startswith("llm_adapter."))


def t5_xxl() -> int:
    return sum(prod(shape) for shape in shapes_of("encoder-t5-xxl").values())


PARAMETERS: Final[dict[str, Callable[[], list[int]]]] = {
    "sdxl": lambda: clips("sdxl"),
    "sd15": lambda: clips("sd15"),
    "flux2": lambda: [qwen3(2560, 9728, 32, 27)],
    "zimage": lambda: [qwen3(2560, 9728, 32, 35)],
    "anima": lambda: [conditioner(), qwen3(1024, 3072, 16, 28)],
    "chroma": lambda: [t5(4096, 10_240, 24)],
    "flux1": lambda: [*clips("sd15"), t5_xxl()],
    "krea2": lambda: [qwen3(2560, 9728, 32, 35)],
}
"""Family → parameters of each network between its denoiser and its VAE."""


@pytest.mark.parametrize("key", FAMILIES)
def test_the_networks_that_read_the_prompt_are_as_large_as_the_family_says(key: str) -> None:
    _, *between, last = FAMILIES[key].parts
    assert last.name == VAE
    true = [parameters * 2 / 2**30 for parameters in PARAMETERS[key]()]
    assert [part.gib for part in between] == pytest.approx(true, abs=0.01)
