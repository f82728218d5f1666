"""The stock pipelines and the engine, each with the same tiny models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from tests.engine.families.aligned import aligned

SCHNELL = "flux1-schnell"
DEV = "flux1-dev"
KONTEXT = "flux1-kontext"


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has SCHNELL, DEV and KONTEXT as diffusers folders."""
    from tools.untrained import flux1 as tiny_model

    folder = tmp_path_factory.mktemp("flux1")
    tiny_model.build(folder / SCHNELL, guided=False)
    tiny_model.build(folder / DEV, seed=7)
    tiny_model.build(folder / KONTEXT, edits=True, seed=27)
    return folder


@pytest.fixture(scope="session")
def stock(folders: Path) -> dict[str, Any]:
    """The stock pipelines, read from the same files."""
    from diffusers import DiffusionPipeline

    names = (SCHNELL, DEV, KONTEXT)
    loaded = {name: aligned(DiffusionPipeline.from_pretrained(folders / name)) for name in names}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    """An engine with these models, in as many bits as they are in."""
    hashes = folders / "hashes.json"
    engine = Engine(models_dir=folders, hashes_file=hashes, memory="full", weights="full")
    yield engine
    engine.close()
