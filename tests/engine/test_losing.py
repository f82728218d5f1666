"""A device whose loss only shows when the model is freed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.engine import Engine
from bot.errors import EngineLost, Loss
from bot.order import Order
from tests.engine import factories

MODEL = factories.model("demo", factories.TINY)
REQUEST = factories.request()


class DeviceLost(RuntimeError):
    """As torch.AcceleratorError."""


class DyingPainter:
    """Whatever it does raises `first`, and freeing the model raises the device's loss."""

    loaded = "demo"
    profile = SimpleNamespace(sparing=None)

    def __init__(self, first: Exception) -> None:
        self._first = first

    def paint(self, *_: object) -> None:
        raise self._first

    preload = paint

    def free(self) -> None:
        raise DeviceLost("CUDA error: device-side assert triggered\nCompile with …")

    def device_lost(self, error: BaseException) -> bool:
        return isinstance(error, DeviceLost)

    def out_of_memory(self, error: BaseException) -> bool:
        return isinstance(error, MemoryError)


@pytest.fixture(params=[RuntimeError("first"), MemoryError("first")], ids=["fault", "memory"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    engine = Engine(models_dir=tmp_path, hashes_file=tmp_path / "hashes.json")
    engine._pipeline = cast("Any", DyingPainter(request.param))
    return engine


def test_while_painting(engine: Engine) -> None:
    with pytest.raises(EngineLost, match=r"device-side assert triggered$") as raised:
        engine.paint(Order(REQUEST, MODEL), lambda _: None, lambda: None)
    assert raised.value.loss is Loss.DEVICE


def test_while_the_default_model_is_loaded(engine: Engine) -> None:
    with pytest.raises(EngineLost, match=r"device-side assert triggered$"):
        engine.preload(MODEL, lambda: None)
