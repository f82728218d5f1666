"""The engine's benchmarks from end to end, with a model so small that the figures mean nothing."""

import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest
import torch

from benchmarks import adapters, bench_model, engine, side_by_side
from benchmarks.bench_model import KEYS
from benchmarks.sdxl_weights import Shape
from bot.engine import kernels
from bot.engine.residency import Resident
from bot.engine.weights import Contents
from bot.errors import JobFailed
from bot.progress import Progress, Stage

TINY = Shape("sdxl-tiny", narrow=8, side=128, depth=(1, 1, 1), text_depth=(2, 2))


@pytest.fixture
def options(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bench_model, "SET", 2)
    parsed = bench_model.arguments("").parse_args(["--repeat", "1", "--steps", "1"])
    parsed.shape, parsed.weights = TINY, tmp_path
    parsed.cap, parsed.memory, parsed.compile = 7, "16gb", False
    return parsed


def test_adapters(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "SETS", 3)
    lines = adapters.run(options)
    assert not any(line.fails for line in lines)
    header = lines.pop(-2)
    assert header.ours.endswith(" ms")
    assert [line.met for line in lines] == [None, None, None, None, True, None, True]
    assert (lines[-2].ours, lines[-2].plain) == ("not measured", "not measured")
    assert lines[-1].ours == "0"
    assert lines[-1].plain != "0", "fusing and unfusing has to leave something, or it is no test"


def test_every_first_use_is_one(tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    file.touch()
    stamps: list[int] = []

    def paint(adapters: tuple[Path, ...], _: object, report: Any, __: object) -> None:
        report(Progress(Stage.ADAPTERS))
        if adapters:
            stamps.append(file.stat().st_mtime_ns)
        report(Progress(Stage.PAINTING))
        pytest.fail("it went on to the first step")

    bench: Any = SimpleNamespace(
        engine=SimpleNamespace(paint=paint),
        catalog=None,
        device="cpu",
        lora=lambda _: file,
        offering=lambda _: bench,
        wearing=lambda *files, weight: files,
        request=lambda adapters: adapters,
    )
    pipeline = MagicMock()
    adapters.first_use(bench, pipeline, 1, 2)
    assert len(set(stamps)) == 3
    # As long as ours: until the first step could begin.
    calls = [name for name, _, _ in pipeline.method_calls]
    unit = ["unload_lora_weights"] * 2 + ["load_lora_weights", "set_adapters", "encode_prompt"]
    assert calls == [*unit * 3, "unload_lora_weights"]


@pytest.mark.parametrize(
    ("said", "dtype", "met"),
    [
        ((3.0, 4.04), torch.float32, True),
        ((3.0, 4.06), torch.float32, False),
        ((3.0, 4.9), torch.float16, True),
        ((3.0, 5.1), torch.float16, False),
        ((math.nan, 4.0), torch.float16, False),
        ((0.0, 0.0), torch.float16, False),
    ],
)
def test_ours_has_to_say_what_plain_says(
    said: tuple[float, float], dtype: torch.dtype, met: bool
) -> None:
    bare = torch.zeros(2)
    outputs = {
        ("ours", False): bare,
        ("plain", False): bare,
        ("ours", True): torch.tensor(said),
        ("plain", True): torch.tensor([3.0, 4.0]),
    }
    line = adapters.compared(outputs, dtype)
    assert (line.met, line.fails) == (met, not met)


def test_loras_have_to_change_something() -> None:
    nothing = dict.fromkeys(itertools.product(("ours", "plain"), (False, True)), torch.zeros(2))
    assert adapters.compared(nothing, torch.float32).fails


def test_an_engine_that_wears_nothing_fails(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Resident, "wear", lambda *_: None)
    with bench_model.opened(options) as bench:
        bench.paint(bench.request(steps=1))
        *_, compared = adapters.step(bench, bench.plain(), 1)
    assert compared.fails


def test_the_engine(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    made = MagicMock(wraps=engine.Engine)
    monkeypatch.setattr(engine, "Engine", made)
    lines = engine.run(options)
    assert not any(line.fails for line in lines)
    stopped, identical, cold, *capped = lines[-5:]
    # It comes just after the look between two steps, so the step that follows is the last one.
    assert (stopped.ours, identical.ours) == ("1", "yes")
    assert cold.ratio.endswith("×")
    assert [line.ours for line in capped] == ["painted, profile 8gb"] * 2
    # To be byte-identical to the first one, and the one on a cold disk; then the small card's.
    assert [call.kwargs["memory"] for call in made.call_args_list] == ["16gb", "16gb", "8gb"]


def test_every_timed_switch_is_one(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[set[str]] = []
    fill, time = Contents.copy_into, side_by_side.seconds

    def copy_into(contents: Contents, *more: Any) -> None:
        copied[-1].add(contents.digest)
        fill(contents, *more)

    def timed(work: side_by_side.Work) -> float:
        copied.append(set())
        return time(work)

    with bench_model.opened(options, model_cache=engine.RAM) as bench:
        bench.paint(bench.request(steps=1, width=64, height=64))
        monkeypatch.setattr(Contents, "copy_into", copy_into)
        monkeypatch.setattr(side_by_side, "seconds", timed)
        monkeypatch.setattr(engine, "seconds", timed)
        engine.switch(bench, 2)
    # Before it the same model alone, in turns with nothing; after it the copy, which is the floor.
    turns, copies = copied[6:12], copied[12:]
    ours = turns[::2]
    assert [len(digests) for digests in ours] == [4, 4, 4]
    assert all(one.isdisjoint(next_one) for one, next_one in itertools.pairwise(ours))
    assert [len(digests) for digests in copies] == [4, 4, 4]


def test_a_switch_that_is_none_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    part = SimpleNamespace(digest="the same")
    resident = SimpleNamespace(key=KEYS[0], parts={"unet": part})
    bench: Any = SimpleNamespace(
        resident=resident, request=lambda **_: None, paint=lambda _: None, device="cpu"
    )
    with pytest.raises(RuntimeError, match="not switched: model, unet"):
        engine.switch(bench, 1)


@pytest.mark.parametrize(("cap", "profile"), [(7, "8gb"), (7.9, "8gb"), (8, "11gb"), (9.3, "11gb")])
def test_a_cap_stands_for_a_card(cap: float, profile: str) -> None:
    assert engine.profile_under(cap) == profile


def test_only_a_want_of_memory_is_called_so() -> None:
    def fail(code: str) -> str:
        raise JobFailed(code)

    assert engine._reserved(lambda: fail("memory.out")) == "out of memory"
    with pytest.raises(JobFailed):
        engine._reserved(lambda: fail("adapter.gone"))


def test_compiled_code(options: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as for a GPU, but computed by torch's own kernels."""
    monkeypatch.setattr(kernels, "Kernels", lambda _, real=kernels.Kernels: real("eager"))
    monkeypatch.setattr(engine, "SWITCHES", 4)
    monkeypatch.setattr(engine, "STARTS", engine.STARTS[:1])  # each is traced for long
    lines = engine.compiled(options, 1, 1)
    assert not any(line.fails for line in lines)
    assert lines[0].what.endswith(", compiled")
    assert (lines[-1].ours, lines[-1].met) == ("0", True)


def test_weights_of_every_part_are_compared() -> None:
    model = SimpleNamespace(**{part: torch.nn.Linear(2, 2) for part in adapters.PARTS})
    before = adapters._copy(model)
    for number, part in enumerate(adapters.PARTS):
        assert adapters._differing(before, model) == pytest.approx(number / 18)
        with torch.no_grad():
            getattr(model, part).bias[0] += 1
