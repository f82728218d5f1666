"""One engine of every kind on one tiny model, and a plain one that says what they have to make."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bot.engine import Engine
from bot.order import Order
from bot.painting import Painting
from bot.wire.options import EngineOptions
from bot.worker.engine import ImageEngine
from tests.conformance.engines import ENGINES, Row
from tests.engine import factories


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineOptions]:
    """For every engine: the same models, and one thread to compute with."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        Engine(models_dir=Path(), hashes_file=Path()).warm_up()
        import torch

        torch.set_num_threads(1)
        folder = tmp_path_factory.mktemp("models")
        factories.build_models(folder)
        yield EngineOptions(
            models_dir=folder,
            hashes_file=folder / "hashes.json",
            device="cpu",
            memory="full",
            preview_interval=0,
        )


@pytest.fixture(scope="session")
def expected(options: EngineOptions) -> Iterator[Callable[[Order], Painting]]:
    """What `bot.engine.Engine` makes of an order."""
    engine = Engine(**options.arguments())
    yield lambda order: engine.paint(order, lambda _: None, lambda: None)
    engine.close()


def _param(row: Row) -> object:
    """One with a worker to start takes long; tests/distributed has the rest of it."""
    return pytest.param(row, marks=pytest.mark.long if row.remote else (), id=row.name)


@pytest.fixture(scope="package", params=map(_param, ENGINES))
def opened(
    request: pytest.FixtureRequest, options: EngineOptions
) -> Iterator[tuple[Row, ImageEngine]]:
    row: Row = request.param
    before = set(psutil.Process().children(recursive=True))
    with row.opened(options) as engine:
        yield row, engine
    assert set(psutil.Process().children(recursive=True)) <= before, "left behind"


@pytest.fixture
def engine(opened: tuple[Row, ImageEngine]) -> ImageEngine:
    return opened[1]


@pytest.fixture
def row(opened: tuple[Row, ImageEngine]) -> Row:
    return opened[0]
