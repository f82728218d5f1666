"""Which lanes there are, and with which engines."""

import threading
from pathlib import Path
from typing import Any

import pytest

from bot.backend import GIB, build_lanes, devices_of, engine_options, lane_names, measured
from bot.cards import Card
from bot.engine import Engine
from bot.engine_process import ProcessEngine
from bot.queue import Lane
from bot.settings import Settings
from tests.worker.fakes import FakeEngine

TWO = (Card("A", 24 * GIB), Card("B", 8 * GIB))


def settings(**given: Any) -> Settings:
    return Settings.model_construct(
        data_dir=Path("data"), models_dir=Path("models"), hub_token=None, **given
    )


@pytest.mark.parametrize(
    ("given", "cards", "devices"),
    [
        ({}, (), ("auto",)),
        ({}, TWO[:1], ("auto",)),
        ({}, TWO, ("cuda:0", "cuda:1")),
        ({"device": "cuda"}, TWO, ("cuda:0", "cuda:1")),
        ({"device": "cpu"}, TWO, ("cpu",)),
        ({"device": "mps"}, (), ("mps",)),
        ({"devices": ("cuda:1",)}, TWO, ("cuda:1",)),
        ({"devices": ("cpu", "cpu"), "device": "cuda"}, TWO, ("cpu", "cpu")),
    ],
)
def test_one_lane_for_each_device(
    given: dict[str, Any], cards: tuple[Card, ...], devices: tuple[str, ...]
) -> None:
    assert devices_of(settings(**given), cards) == devices


@pytest.mark.parametrize(
    ("devices", "names"),
    [
        (("auto",), ("gpu",)),
        (("cuda:1",), ("gpu",)),
        (("cuda:0", "cuda:1"), ("gpu-0", "gpu-1")),
        (("cpu", "cpu"), ("cpu-1", "cpu-2")),
        (("cuda", "cuda:0", "cpu"), ("gpu", "gpu-0", "cpu")),
    ],
)
def test_lanes_are_named_after_their_devices(
    devices: tuple[str, ...], names: tuple[str, ...]
) -> None:
    assert lane_names(devices) == names


@pytest.mark.parametrize(
    ("chosen", "devices", "apart"),
    [
        ("auto", ("auto",), False),
        ("auto", ("cuda:0", "cuda:1"), True),
        ("thread", ("cuda:0", "cuda:1"), False),
        ("process", ("auto",), True),
    ],
)
def test_where_the_engines_run(chosen: str, devices: tuple[str, ...], apart: bool) -> None:
    built = build_lanes(settings(engine=chosen), devices, TWO, None)
    assert [lane.device for lane, _ in built] == [*devices]
    assert [lane.isolated for lane, _ in built] == [apart] * len(devices)
    kind = ProcessEngine if apart else Engine
    assert all(isinstance(engine, kind) for _, engine in built)


def test_a_lane_knows_the_memory_of_its_card() -> None:
    built = build_lanes(settings(), ("cuda:1", "cuda:0", "cpu", "cuda:7"), TWO, None)
    assert [lane.memory for lane, _ in built] == [8 * GIB, 24 * GIB, None, None]


def test_engines_share_the_ram_for_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.backend.usable_ram", lambda: 64 * GIB)
    assert engine_options(settings()).model_cache is None
    assert engine_options(settings(), None, "cuda:0", 4).model_cache == 8 * GIB
    assert engine_options(settings(), None, "cpu", 4).model_cache is None
    assert engine_options(settings(model_cache=10.0), None, "cuda:0", 4).model_cache == 2.5 * GIB


def test_one_that_cannot_be_asked_for_its_memory_hides_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    together = threading.Barrier(3, timeout=10)  # it breaks if one is asked after the other

    class Measured(FakeEngine):
        def gpu_memory(self) -> dict[str, int]:
            together.wait()
            if self.loaded == "broken":
                raise RuntimeError("no driver")
            return {"total": GIB}

    engines = [Measured() for _ in range(3)]
    engines[0].loaded = "broken"
    lanes = [(Lane(f"gpu-{n}", f"cuda:{n}"), engine) for n, engine in enumerate(engines)]
    assert measured(lanes) == {"gpu-1": {"total": GIB}, "gpu-2": {"total": GIB}}
    assert caplog.messages == ["gpu-0: its memory cannot be read: RuntimeError"]
