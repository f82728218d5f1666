"""The stock pipelines and the engine, each with the same tiny models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine

BASE = "anima-base"
OTHER = "anima-other"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has BASE, and OTHER with other weights, as diffusers' modular folders."""
    from tools.untrained import anima as tiny_model

    folder = tmp_path_factory.mktemp("anima")
    tiny_model.build(folder / BASE)
    tiny_model.build(folder / OTHER, seed=7)
    return folder


@pytest.fixture(scope="session")
def stock() -> Iterator[dict[str, Any]]:
    """The stock pipelines, of the same weights."""
    from diffusers.models.transformers import transformer_cosmos

    from tools.untrained import anima as tiny_model

    loaded = {BASE: tiny_model.pipeline(), OTHER: tiny_model.pipeline(seed=7)}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    with pytest.MonkeyPatch.context() as patch:
        transforms = tiny_model.transforms()
        patch.setattr(transformer_cosmos, "transforms", transforms, raising=False)
        yield loaded


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    """An engine that takes every model for one of Anima."""
    from bot.engine import needed, pipeline, sources
    from bot.engine.families.anima import Anima

    engine = Engine(models_dir=folders, hashes_file=folders / "hashes.json", memory="full")
    with pytest.MonkeyPatch.context() as patch:
        for module in (needed, pipeline, sources):
            patch.setattr(module, "family_of", lambda _: Anima())
        yield engine
    engine.close()
