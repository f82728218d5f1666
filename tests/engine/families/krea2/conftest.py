"""The stock pipelines and the engine, each with the same tiny models."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from catalog import ModelEntry
from catalog.families.krea2 import KREA2
from tests.engine.factories import model

TURBO = "krea-2-turbo"
RAW = "krea-2-raw"


def entry(path: Path | str, key: str = "x", **fields: Any) -> ModelEntry:
    """A model of the family, of the variant that its path names."""
    return model(key, str(path), **{"family": KREA2, **fields})


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has TURBO, and RAW with other weights, as diffusers folders."""
    from tools.untrained import krea2 as tiny_model

    folder = tmp_path_factory.mktemp("krea2")
    tiny_model.build(folder / TURBO)
    tiny_model.build(folder / RAW, distilled=False, seed=7)
    return folder


@pytest.fixture(scope="session")
def stock(folders: Path) -> dict[str, Any]:
    """The stock pipelines, read from the same files."""
    from diffusers import Krea2Pipeline

    loaded = {name: Krea2Pipeline.from_pretrained(folders / name) for name in (TURBO, RAW)}
    for pipe in loaded.values():
        pipe.set_progress_bar_config(disable=True)
    return loaded


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    engine = Engine(
        models_dir=folders, hashes_file=folders / "hashes.json", memory="full", weights="full"
    )
    yield engine
    engine.close()
