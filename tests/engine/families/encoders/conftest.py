"""Tiny models whose text encoder is another, and engines that read them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from catalog.families import TEXT_ENCODER
from tests.engine.families.encoders.files import READING
from tests.engine.families.flux2.files import stored, write
from tests.engine.families.test_complete import TINY


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For each family a tiny model `KEY`, and `KEY-other` with another text encoder."""
    root = tmp_path_factory.mktemp("encoders")
    for key in READING:
        TINY[key](root / key)
        other = Path(shutil.copytree(root / key, root / f"{key}-other"))
        changed = {n: t * 1.25 for n, t in stored(other, TEXT_ENCODER).items()}
        write(other / TEXT_ENCODER / "model.safetensors", changed)
    return root


@pytest.fixture(scope="module")
def painter(folders: Path) -> Iterator[Engine]:
    hashes = folders / "hashes.json"
    engine = Engine(models_dir=folders, hashes_file=hashes, memory="full", model_cache=2**27)
    yield engine
    engine.close()


@pytest.fixture
def opened(folders: Path, tmp_path: Path) -> Iterator[Callable[..., Engine]]:
    """Opens engines, which are closed at the end."""
    engines = []

    def new(**options: Any) -> Engine:
        hashes = tmp_path / "hashes.json"
        engines.append(Engine(models_dir=folders, hashes_file=hashes, **options))
        return engines[-1]

    yield new
    for engine in engines:
        engine.close()
