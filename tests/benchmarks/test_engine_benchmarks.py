"""The engine's benchmarks from end to end, with a model so small that the figures mean nothing."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks import adapters, bench_model, engine
from benchmarks.sdxl_weights import Shape

TINY = Shape("sdxl-tiny", narrow=8, side=128, depth=(1, 1, 1), text_depth=(2, 2))


@pytest.fixture
def options(tmp_path: Path) -> Any:
    parsed = bench_model.arguments("").parse_args(["--repeat", "1", "--steps", "1"])
    parsed.shape, parsed.weights = TINY, tmp_path
    parsed.cap, parsed.memory, parsed.compile = 9.3, "auto", False
    return parsed


def test_adapters(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "SETS", 3)
    lines, exact = adapters.run(options)
    assert exact
    assert [line.met for line in lines] == [None, None, None, None, True, True]
    assert lines[-1].ours == "0"
    assert lines[-1].plain != "0", "fusing and unfusing has to leave something, or it is no test"


def test_the_engine(options: Any) -> None:
    lines, sound = engine.run(options)
    assert sound
    stopped, identical, cold, *capped = lines[-5:]
    # It comes just after the look between two steps, so the step that follows is the last one.
    assert (stopped.ours, identical.ours) == ("1", "yes")
    assert cold.ratio.endswith("×")
    assert [line.ours for line in capped] == ["painted", "painted"]
