"""The engine benchmarks end to end, with a model so small that the figures mean nothing."""

import argparse
import itertools
import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import psutil
import pytest
import torch

from benchmarks import adapters, bench_model, sdxl_weights, side_by_side
from benchmarks.alone import alone
from benchmarks.bench_model import KEYS, RAM
from benchmarks.engine import __main__ as engine
from benchmarks.engine import caps, cold, compiling, exactness, switching
from benchmarks.page import FIGURES
from benchmarks.side_by_side import Line
from bot.engine import Engine, kernels
from bot.engine.residency import Resident
from bot.engine.weights import PristineWeights
from bot.errors import JobFailed
from bot.progress import Progress, Stage
from tests.benchmarks.tiny import TINY

pytestmark = pytest.mark.long

several_adapters = pytest.mark.filterwarnings(
    # Plain diffusers is given several adapters on purpose.
    "ignore:Already found a `peft_config` attribute:UserWarning:peft"
)


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setattr(sdxl_weights, "QUICK", TINY)
    monkeypatch.setattr(bench_model, "SET", 2)
    return ["--quick", "--repeat", "1", "--steps", "1", "--weights", str(tmp_path)]


@pytest.fixture
def options(arguments: list[str]) -> argparse.Namespace:
    return bench_model.arguments("", ()).parse_args(arguments)


def rows(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The cells of the printed table, without its header."""
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    return [line.strip("| ").split(" | ") for line in lines[1:]]


@several_adapters
def test_adapters(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adapters, "SETS", 3)
    assert adapters.main(arguments) == 0
    measured = rows(capsys)
    (*_, header, (_, ours, plain, *_)) = measured
    assert header[1].endswith(" ms")
    assert ours == "0"
    assert plain != "0", "fusing and unfusing has to leave something, or it is no test"
    measured.remove(header)
    assert [met for *_, met in measured] == ["–", "–", "–", "–", "yes", "–", "yes"]
    assert measured[-2][1:3] == ["not measured", "not measured"]


def test_the_page_names_the_command_of_each_row() -> None:
    text = FIGURES.read_text(encoding="utf-8")
    for program, names in (
        ("engine", {*engine.ROWS, engine.COMPILE}),
        ("adapters", adapters.ROWS.keys() - {"header"}),  # needs no GPU
    ):
        calls = re.findall(rf"`python -m benchmarks\.{program} --only ([a-z ]+)", text)
        assert sorted(" ".join(calls).split()) == sorted(names)


def test_the_page_has_what_one_run_printed(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    lines = [Line("one", "1 s", "2 s"), Line("two", "3 s", "4 s", must=True, met=False)]
    monkeypatch.setattr(adapters, "run", lambda _: iter(lines))
    page = tmp_path / "figures.md"
    monkeypatch.setattr(adapters, "FIGURES", page)
    begin, end = "<!-- adapters:begin -->\n", "<!-- adapters:end -->\n"
    page.write_text(f"{begin}{end}", encoding="utf-8")
    assert adapters.main([*arguments, "--write"]) == 1
    assert page.read_text(encoding="utf-8") == f"{begin}{capsys.readouterr().out}{end}"
    with pytest.raises(SystemExit):
        adapters.main([*arguments, "--write", "--only", "step"])


def test_each_line_is_printed_when_it_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    def lines() -> Iterator[Line]:
        yield Line("one", "1 s", "2 s")
        assert "| one | 1 s | 2 s |" in capsys.readouterr().out
        yield Line("two", "3 s", "4 s")

    assert [line.what for line in side_by_side.shown(lines())] == ["one", "two"]


def test_every_first_use_is_one(tmp_path: Path) -> None:
    file = tmp_path / "lora.safetensors"
    file.touch()
    stamps: list[int] = []

    def paint(adapters: tuple[Path, ...], report: Any, _: object) -> None:
        report(Progress(Stage.ADAPTERS))
        if adapters:
            stamps.append(file.stat().st_mtime_ns)
        report(Progress(Stage.PAINTING))
        pytest.fail("it went on to the first step")

    bench: Any = SimpleNamespace(
        engine=SimpleNamespace(paint=paint),
        order=lambda request: request,
        device="cpu",
        lora=lambda _: file,
        offering=lambda _: bench,
        wearing=lambda *files, weight: files,
        fresh=lambda adapters: adapters,
    )
    pipeline = MagicMock()
    adapters.first_use(bench, pipeline, 1, 2)
    assert len(set(stamps)) == 3
    # Takes as long as ours until the first step could begin.
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


def test_an_engine_that_wears_nothing_fails(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Resident, "set_adapters", lambda *_: None)
    monkeypatch.setattr(bench_model, "SET", 1)
    assert adapters.main([*arguments, "--only", "step"]) == 1
    assert [met for *_, met in rows(capsys)] == ["–", "**no**"]


@several_adapters
def test_the_engine(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MagicMock(wraps=Engine)
    for row in (exactness, cold, caps):
        monkeypatch.setattr(row, "Engine", made)
    monkeypatch.setattr(engine, "in_memory", lambda _: False)
    assert engine.main([*arguments, "--memory", "16gb", "--cap", "7"]) == 0
    _, alike, _, _, stopped, identical, other, *capped = rows(capsys)
    # It comes right after the check between two steps, so the step that follows is the last one.
    assert (alike[-1], stopped[1], identical[1]) == ("yes", "1", "yes")
    assert other[3].endswith("×")
    assert [ours for _, ours, *_ in capped] == ["painted, profile 8gb"] * 2
    # For comparing bytes with the first one, and the one on a cold disk; then the small card's.
    assert [call.kwargs["memory"] for call in made.call_args_list] == ["16gb", "16gb", "8gb"]


def test_every_timed_switch_is_one(
    options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[set[str]] = []
    fill, time = PristineWeights.copy_into, side_by_side.seconds

    def copy_into(contents: PristineWeights, *more: Any) -> None:
        copied[-1].add(contents.digest)
        fill(contents, *more)

    def timed(work: side_by_side.Work) -> float:
        copied.append(set())
        return time(work)

    with bench_model.opened(options, model_cache=RAM) as bench:
        bench.paint(bench.request(steps=1, width=64, height=64))
        monkeypatch.setattr(PristineWeights, "copy_into", copy_into)
        monkeypatch.setattr(side_by_side, "seconds", timed)
        monkeypatch.setattr(switching, "seconds", timed)
        switching.switch(bench, 2)
    # Before it, the same model alone, alternating with nothing; after it, the copy (a lower bound).
    turns, copies = copied[6:12], copied[12:]
    ours = turns[::2]
    assert [len(digests) for digests in ours] == [4, 4, 4]
    assert all(one.isdisjoint(next_one) for one, next_one in itertools.pairwise(ours))
    assert [len(digests) for digests in copies] == [4, 4, 4]


def test_a_switch_that_is_none_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    part = SimpleNamespace(digest="the same")
    resident = SimpleNamespace(key=KEYS[0], parts={"unet": part})
    bench: Any = SimpleNamespace(
        resident=resident, fresh=lambda **_: None, paint=lambda _: None, device="cpu"
    )
    with pytest.raises(RuntimeError, match="not switched: model, unet"):
        switching.switch(bench, 1)


def test_a_folder_in_memory_is_not_taken_for_a_cold_disk(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mount(folder: Path | str, kind: str) -> SimpleNamespace:
        return SimpleNamespace(mountpoint=str(folder), fstype=kind)

    mounts = [mount("/", "ext4"), mount(tmp_path.parent, "ext4"), mount(f"{tmp_path}0", "tmpfs")]
    monkeypatch.setattr(psutil, "disk_partitions", lambda **_: mounts)
    assert not cold.in_memory(tmp_path)
    mounts.insert(0, mount(tmp_path, "tmpfs"))
    assert cold.in_memory(tmp_path / "weights")
    with pytest.raises(SystemExit, match="in RAM"):
        engine.main([*arguments, "--only", "cold"])
    mounts.append(mount(tmp_path, "xfs"))  # hides the other mount, whose files cannot be seen now
    assert not cold.in_memory(tmp_path)


@pytest.mark.parametrize(("cap", "profile"), [(7, "8gb"), (7.9, "8gb"), (8, "11gb"), (9.3, "11gb")])
def test_a_cap_stands_for_a_card(cap: float, profile: str) -> None:
    assert caps.profile_under(cap) == profile


def test_only_a_want_of_memory_is_called_so() -> None:
    def fail(code: str) -> str:
        raise JobFailed(code)

    assert caps._reserved(lambda: fail("memory.out")) == "out of memory"
    with pytest.raises(JobFailed):
        caps._reserved(lambda: fail("adapter.gone"))


def test_compiled_code(options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Traced as for a GPU, but computed by torch's own kernels, in this process."""
    monkeypatch.setattr(compiling, "alone", lambda work, *arguments: work(*arguments))
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "put back by monkeypatch")
    monkeypatch.setattr(kernels, "Kernels", lambda _, real=kernels.Kernels: real("eager"))
    monkeypatch.setattr(compiling, "SWITCHES", 4)
    monkeypatch.setattr(compiling, "STARTS", compiling.STARTS[:1])  # tracing each takes long
    start, request, again = compiling.compiled(options)
    assert Path(os.environ["TORCHINDUCTOR_CACHE_DIR"]).is_absolute()
    assert start.ours.endswith(" s")
    assert request.what.endswith(", compiled")
    assert (again.ours, again.met, again.must) == ("0", True, True)


def test_a_start_is_a_process_of_its_own() -> None:
    assert alone(os.getpid) != os.getpid()


def test_every_start_is_alone_and_finds_the_same_code(
    options: argparse.Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[tuple[Any, ...]] = []

    def alone(*call: Any) -> list[Line]:
        starts.append(call)
        return []

    monkeypatch.setattr(compiling, "alone", alone)
    assert list(compiling.compiled(options)) == []
    (work, _, *first), (_, _, *second) = starts
    assert work is compiling.started
    assert first[0] != second[0]
    assert first[1] == second[1]


def test_weights_of_every_part_are_compared() -> None:
    model = {part: torch.nn.Linear(2, 2) for part in adapters.PARTS}
    before = adapters._copy(model)
    for number, part in enumerate(adapters.PARTS):
        assert adapters._differing(before, model) == pytest.approx(number / 18)
        with torch.no_grad():
            model[part].bias[0] += 1
