"""Whatever is computed with is on the device: on a card, unlike on the CPU, it has to be."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
import torch

from bot.engine import Engine
from bot.request import Describe, GenerationRequest
from catalog import Catalog, DescriberEntry, UpscalerEntry, Upscalers
from catalog.families import FAMILIES
from tests.engine import card, factories
from tests.engine.factories import paint
from tests.engine.families.test_reproducible import everything
from tests.engine.upscaling.networks import compact, written
from tests.engine.upscaling.test_upscaling import crisp, repaint
from tests.parameters import mostly_long

Making = Callable[..., tuple[Engine, Engine]]

ROUNDED: Final = 1
"""Of 255: attention is added up otherwise where torch has no kernel for it."""
OTHERWISE: Final[Sequence[dict[str, Any]]] = (
    {"memory": "8gb"},
    {"memory": "8gb", "weights": "int8"},
    {"memory": "8gb", "weights": "full"},
)
"""IMAGEN_MEMORY and IMAGEN_WEIGHTS: what leaves the card, is in 8 bits, and takes turns on it."""


@pytest.fixture
def making(opened: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch) -> Making:
    """Makes two engines: one that computes on the CPU, and one with a card."""

    def both(**options: Any) -> tuple[Engine, Engine]:
        plain = opened(**options)
        plain.warm_up()
        card.use(monkeypatch)
        there = opened(**options)
        there.warm_up()
        return plain, there

    return both


def far(
    engines: tuple[Engine, Engine], wanted: Sequence[GenerationRequest], offered: Catalog
) -> int:
    """The largest difference between the images of two engines."""
    painted = [
        [
            np.asarray(made.image, np.int16)
            for each in wanted
            for made in paint(engine, each, offered).images
        ]
        for engine in engines
    ]
    return max(int(np.abs(one - other).max()) for one, other in zip(*painted, strict=True))


@pytest.mark.parametrize("key", mostly_long(FAMILIES, usual=("sdxl", "chroma", "zimage")))
def test_a_family_leaves_nothing_elsewhere(making: Making, offered: Catalog, key: str) -> None:
    assert far(making(memory="full"), everything(key), offered) <= ROUNDED


@pytest.mark.long
@pytest.mark.parametrize("options", OTHERWISE, ids=str)
@pytest.mark.parametrize("key", FAMILIES)
def test_nor_does_it_on_a_small_card(
    making: Making, offered: Catalog, key: str, options: dict[str, str]
) -> None:
    assert far(making(**options), everything(key), offered) <= ROUNDED


@pytest.mark.long
def test_nor_do_controls_depth_and_references(
    models_dir: Path, making: Making, followed: tuple[GenerationRequest, Catalog]
) -> None:
    wanted, offered = followed
    assert far(making(memory="full", models_dir=models_dir), [wanted], offered) <= ROUNDED


@pytest.mark.long
def test_nor_do_poses(
    models_dir: Path, making: Making, posed: tuple[GenerationRequest, Catalog]
) -> None:
    wanted, offered = posed
    assert far(making(memory="full", models_dir=models_dir), [wanted], offered) <= ROUNDED


@pytest.mark.long
def test_nor_do_upscalers(models_dir: Path, making: Making, tmp_path: Path) -> None:
    path = str(written(tmp_path / "double.safetensors", compact))
    double = UpscalerEntry(key="double", name="double", path=path)
    models = factories.catalog().models
    offered = Catalog(models, {}, "demo", upscalers=Upscalers({"double": double}))
    wanted = [crisp(), repaint((60, 40))]
    assert far(making(memory="full", models_dir=models_dir), wanted, offered) <= ROUNDED


@pytest.mark.long
@pytest.mark.parametrize("memory", ["full", "8gb"])
def test_nor_does_what_describes(
    models_dir: Path,
    making: Making,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    memory: str,
) -> None:
    engines = making(memory=memory, models_dir=models_dir)
    from bot.engine import describer
    from tools.untrained import florence2

    monkeypatch.setattr(describer, "SIDE", 96)
    monkeypatch.setattr(describer, "TOKENS_MAX", {"short": 12})
    florence2.write(tmp_path / "sees", florence2.module())
    entry = DescriberEntry(path=str(tmp_path / "sees"))
    offered = replace(factories.catalog(), describer=entry)
    asked = replace(crisp(), upscale=None, describe=Describe(factories.picture((60, 40)), "short"))
    told = []
    for engine in engines:
        paint(engine, factories.request(), offered)  # a model makes room
        told.append(paint(engine, asked, offered).words)
        paint(engine, factories.request(), offered)  # and comes back
    assert told[0]
    assert told[0] == told[1]


def test_a_card_is_pretended() -> None:
    here = torch.ones(3)
    there = here.to(card.DEVICE)
    assert there.device.type == card.DEVICE
    assert (there + 1).cpu().tolist() == [2, 2, 2]
    assert (there + torch.tensor(1)).cpu().tolist() == [2, 2, 2]
    there[:2].fill_(5)
    assert there.cpu().tolist() == [5, 5, 1]
    wrong: Sequence[Callable[[], Any]] = (
        lambda: there + here,
        lambda: here[there.long()],
        lambda: here.add_(there),
        lambda: there.index_put_((torch.tensor([0, 1, 2]),), here),
    )
    for each in wrong:
        with pytest.raises(RuntimeError, match="same device"):
            each()
