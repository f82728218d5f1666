"""Each network of a flow computes in the numbers that it needs on a card."""

from typing import Any, Final

import pytest
import torch

from bot.engine.environment import Place
from bot.engine.families import FAMILIES

BF16, FP16, FP32 = "bfloat16", "float16", "float32"
WITHOUT_BF16: Final = {
    "flux2": {"transformer": FP16, "text_encoder": BF16, "vae": FP32},
    "zimage": {"transformer": FP16, "text_encoder": BF16, "vae": FP32},
    "anima": {"transformer": FP16, "text_conditioner": BF16, "text_encoder": BF16, "vae": FP16},
    "chroma": {"transformer": FP16, "text_encoder": BF16, "vae": FP32},
    "krea2": {"transformer": FP16, "text_encoder": BF16, "vae": FP16},
}


@pytest.mark.parametrize("key", WITHOUT_BF16)
@pytest.mark.parametrize(
    ("asked", "able", "usual"),
    [
        ("auto", True, BF16),
        ("auto", False, None),
        (FP16, True, None),
        (BF16, False, BF16),
        (FP32, True, FP32),
    ],
)
def test_each_network_has_the_numbers_that_it_needs(
    monkeypatch: pytest.MonkeyPatch, key: str, asked: str, able: bool, usual: str | None
) -> None:
    """usual: of all networks; None where the card has no bfloat16, or is not to use it."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(Place, "computes_in_bfloat16", able)
    place, family = Place("cuda", asked), FAMILIES[key]
    found: dict[str, Any] = {name: family.dtype_of(name, {}, place) for name in family.networks}
    named = {name: str(dtype).removeprefix("torch.") for name, dtype in found.items()}
    assert named == (dict.fromkeys(named, usual) if usual else WITHOUT_BF16[key])
