"""The stock pipelines and the engine, each with the same tiny models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from tests.engine.families.chroma.stock import exact

HD = "chroma-hd"
SHIFTED = "chroma-shifted"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has HD, and SHIFTED whose noise levels are, as diffusers folders."""
    from tools.untrained import chroma as tiny_model

    folder = tmp_path_factory.mktemp("chroma")
    tiny_model.build(folder / HD)
    tiny_model.build(folder / SHIFTED, shift=3.0, seed=7)
    return folder


@pytest.fixture(scope="session")
def stock(folders: Path) -> dict[str, Any]:
    """The stock pipelines, read from the same files."""
    from diffusers import ChromaPipeline

    return {name: exact(ChromaPipeline.from_pretrained(folders / name)) for name in (HD, SHIFTED)}


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    """An engine that takes every model for one of Chroma."""
    from bot.engine import needed, pipeline, sources
    from bot.engine.families.chroma import Chroma

    engine = Engine(models_dir=folders, hashes_file=folders / "hashes.json", memory="full")
    with pytest.MonkeyPatch.context() as patch:
        for module in (needed, pipeline, sources):
            patch.setattr(module, "family_of", lambda _: Chroma())
        yield engine
    engine.close()
