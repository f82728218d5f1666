"""The stock pipelines and the engine, each with the same tiny models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine

TURBO = "z-image-turbo"
DYNAMIC = "z-image-dynamic"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has TURBO, and DYNAMIC whose shift depends on the size, as diffusers folders."""
    from tools.untrained import zimage as tiny_model

    folder = tmp_path_factory.mktemp("zimage")
    tiny_model.build(folder / TURBO)
    tiny_model.build(folder / DYNAMIC, dynamic=True, seed=7)
    return folder


@pytest.fixture(scope="session")
def stock(folders: Path) -> dict[str, Any]:
    """The stock pipelines, read from the same files."""
    from diffusers import ZImagePipeline

    loaded = {name: ZImagePipeline.from_pretrained(folders / name) for name in (TURBO, DYNAMIC)}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    """An engine that takes every model for one of Z-Image."""
    from bot.engine import needed, pipeline, sources
    from bot.engine.families.zimage import ZImage

    engine = Engine(models_dir=folders, hashes_file=folders / "hashes.json", memory="full")
    with pytest.MonkeyPatch.context() as patch:
        for module in (needed, pipeline, sources):
            patch.setattr(module, "family_of", lambda _: ZImage())
        yield engine
    engine.close()
