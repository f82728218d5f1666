"""The stock pipelines and the engine, each with the same tiny models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine

KLEIN = "klein"
BASE = "klein-base"


@pytest.fixture(scope="session")
def folders(models_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has the distilled KLEIN and BASE as diffusers folders."""
    from tools.untrained import flux2 as tiny_model

    folder = tmp_path_factory.mktemp("flux2")
    tiny_model.build(folder / KLEIN)
    tiny_model.build(folder / BASE, distilled=False, seed=7)
    return folder


@pytest.fixture(scope="session")
def stock(folders: Path) -> dict[str, Any]:
    """The stock pipelines of KLEIN and BASE, read from the same files."""
    from diffusers import Flux2KleinPipeline

    loaded = {name: Flux2KleinPipeline.from_pretrained(folders / name) for name in (KLEIN, BASE)}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    """An engine that takes every model for one of FLUX.2."""
    from bot.engine import needed, pipeline, sources
    from bot.engine.families.flux2 import Flux2

    engine = Engine(models_dir=folders, hashes_file=folders / "hashes.json", memory="full")
    with pytest.MonkeyPatch.context() as patch:
        for module in (needed, pipeline, sources):
            patch.setattr(module, "family_of", lambda _: Flux2())
        yield engine
    engine.close()
