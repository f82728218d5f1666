"""One engine and one tiny model for all of these tests: importing torch alone takes 5 s."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from tests.engine import factories


@pytest.fixture(scope="session")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Has `tiny` and `other` (same shape, other weights), nothing from the hub."""
    Engine(models_dir=Path(), hashes_file=Path()).warm_up()
    import torch

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("models")
    factories.build_models(folder)
    return folder


@pytest.fixture(scope="session")
def engine(models_dir: Path) -> Iterator[Engine]:
    hashes = models_dir / "hashes.json"
    engine = Engine(models_dir=models_dir, hashes_file=hashes, memory="full")
    yield engine
    engine.close()


@pytest.fixture
def fresh(models_dir: Path, tmp_path: Path) -> Iterator[Engine]:
    """An engine that no other test has used."""
    hashes = tmp_path / "hashes.json"
    engine = Engine(models_dir=models_dir, hashes_file=hashes, memory="full")
    yield engine
    engine.close()


@pytest.fixture
def keeping(models_dir: Path, tmp_path: Path) -> Any:
    """Makes an engine that keeps that many bytes of checkpoints in RAM."""
    engines: list[Engine] = []

    def make(limit: int, **options: Any) -> Engine:
        hashes = tmp_path / "hashes.json"
        options.setdefault("memory", "full")
        engine = Engine(
            models_dir=models_dir,
            hashes_file=hashes,
            model_cache=limit,
            **options,
        )
        engines.append(engine)
        return engine

    yield make
    for engine in engines:
        engine.close()
