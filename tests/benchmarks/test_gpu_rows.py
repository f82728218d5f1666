"""Rows of `benchmarks.gpu` for real, and what they are compared with."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import baseline, side_by_side
from benchmarks.gpu import requests, wheels
from benchmarks.gpu.__main__ import main
from benchmarks.gpu.supervisor import Supervisor
from bot.engine import environment, kernels

pytestmark = pytest.mark.long


def test_plain_is_measured_with_torchs_own_settings() -> None:
    found = subprocess.run(
        [sys.executable, "-c", "from benchmarks.baseline import *; print(numerics()==TORCHS_OWN)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == "True", "torch's own settings are others now"
    environment.settle()
    ours = baseline.numerics()
    assert ours != baseline.TORCHS_OWN
    seen: dict[str, list[baseline.Numerics]] = {"ours": [], "plain": []}
    side_by_side.alternate(
        lambda: seen["ours"].append(baseline.numerics()),
        lambda: seen["plain"].append(baseline.numerics()),
        1,
    )
    assert seen == {"ours": [ours] * 2, "plain": [baseline.TORCHS_OWN] * 2}
    with pytest.raises(ZeroDivisionError), baseline.torchs_defaults():
        _ = 1 / 0
    assert baseline.numerics() == ours


def test_an_older_torch_compiles_as_many_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """torch 2.11 has no `recompile_limit` in `torch.compile`, only one for the process."""
    newer, limits = torch.compile, []

    def older(
        model: Any, *, fullgraph: bool = False, dynamic: bool | None = None, backend: Any
    ) -> Any:
        return newer(model, fullgraph=fullgraph, dynamic=dynamic, backend=backend)

    class Own(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(8, 8)

        def forward(self, given: torch.Tensor) -> torch.Tensor:
            return super().forward(given)

    monkeypatch.setattr(torch, "compile", older)
    shapes = [kernels.Shape(1, 77, 8 * n, 8) for n in range(1, 13)]
    module, made = Own(), kernels.Kernels("eager")

    def run(code: Any, shape: kernels.Shape) -> None:
        limits.append(torch._dynamo.config.recompile_limit)
        code(torch.zeros(shape.width, 8))

    made.prepare(module, shapes, run)
    made.wait()
    choice = made.choose(module, None)
    with torch.inference_mode():
        for shape in shapes:
            choice.of(shape)(torch.zeros(shape.width, 8))
            assert choice.used == "compiled"
    assert set(limits) == {kernels.SHAPES_MAX}
    assert torch._dynamo.config.recompile_limit != kernels.SHAPES_MAX


def test_gaps_are_what_no_kernel_fills() -> None:
    assert requests.idle([(0, 4), (2, 6), (8, 10)]) == pytest.approx(0.2)
    assert requests.idle([(0, 10), (1, 2)]) == 0


BLOCKED = """
import sys
from importlib.metadata import packages_distributions
from benchmarks.gpu import wheels
carried = set(sys.argv[1].split(","))
allowed = wheels.with_dependencies(wheels.PRESENT) | carried - {"pydantic"}
owners = packages_distributions()
class Bare:
    def __init__(self, finders):
        self.finders = finders
    def find_spec(self, name, path=None, target=None):
        owning = [wheels.canonical(owner) for owner in owners.get(name.partition(".")[0], ())]
        if owning and not allowed.intersection(owning):
            return None
        found = (finder.find_spec(name, path, target) for finder in self.finders)
        return next((spec for spec in found if spec), None)
    def find_distributions(self, *context):
        for finder in self.finders:
            for found in getattr(finder, "find_distributions", lambda *_: ())(*context):
                if wheels.canonical(found.name) in allowed:
                    yield found
    def invalidate_caches(self):
        pass
sys.meta_path[:] = [Bare(list(sys.meta_path))]
try:
    exec(wheels.IMPORTS)
except ModuleNotFoundError as error:
    print(error)
allowed |= carried
exec(wheels.IMPORTS)
assert "discord" not in sys.modules
"""


def test_the_carried_packages_are_enough_and_none_is_the_bots() -> None:
    """On a machine that has torch, transformers, peft and accelerate."""
    used = wheels.imported()
    assert "torchvision" not in used, "it is only marked as missing"
    carried = wheels.missing(used)
    assert {"diffusers", "pydantic", "pydantic-core"} <= carried.keys()
    assert not {"discord-py", "torch", "transformers"} & carried.keys()

    # One process for both, since torch is imported slowly: the first try lacks a package.
    done = subprocess.run(
        [sys.executable, "-c", BLOCKED, ",".join(carried)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert not done.returncode, done.stderr
    assert done.stdout.startswith("No module named 'pydantic'")


def test_too_many_wheels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one.whl").write_bytes(bytes(11))
    assert wheels.check(tmp_path, 11) == 11
    with pytest.raises(ValueError, match="of wheels; at most"):
        wheels.check(tmp_path, 10)


def test_a_few_rows_for_real(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    given = ["--quick", "--out", str(tmp_path), "--device", "cpu", "--only", "gaps", "alike"]
    code = main(given)
    printed = capsys.readouterr()
    found = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["rows"]
    states = {name: (row["state"], row["said"]) for name, row in found.items()}
    assert states == {"gaps": ("skipped", "needs CUDA"), "alike": ("done", "")}
    assert code == 0
    assert "| alike | greatest difference of a pixel's channel from plain" in printed.out
    assert (tmp_path / "gpu.md").read_text(encoding="utf-8") in printed.out


def test_told_to_stop_it_prints_the_table_and_removes_the_models(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.gpu", "--quick", "--device", "cpu"]
    command += ["--out", str(tmp_path / "out"), "--only", "alike"]
    found = tmp_path / "temporary"
    found.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(found)}
    moved = "import benchmarks.gpu.call as c, pathlib; c.IN_RAM = pathlib.Path('/nowhere');"
    run = "from benchmarks.gpu.__main__ import main; raise SystemExit(main())"
    command[1:3] = ["-c", moved + run]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        while not [*found.glob("imagen-gpu-*/*")]:
            assert process.poll() is None
            time.sleep(0.1)
        process.terminate()
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "| alike | – | **pending** |" in printed
    assert (tmp_path / "out" / "gpu.md").read_text(encoding="utf-8") in printed
    assert not [*found.glob("imagen-gpu-*")]


@pytest.mark.parametrize(("more", "seconds"), [([], 480), (["--compile"], 540)])
def test_rows_that_compile_find_each_others_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: list[str], seconds: float
) -> None:
    """And each call ends within ten minutes, which many machines are lent for."""
    given: dict[str, Any] = {}

    class Idle(Supervisor):
        def __init__(self, *args: Any, **options: Any) -> None:
            given.update(options)
            super().__init__(*args, **options)

        def run(self) -> None:
            raise KeyboardInterrupt

    monkeypatch.setattr("benchmarks.gpu.__main__.Supervisor", Idle)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    weights = tmp_path / "weights"
    assert main(["--out", str(tmp_path / "out"), "--weights", str(weights), *more]) == 1
    assert given["budget"] == seconds
    assert given["environment"]["TORCHINDUCTOR_CACHE_DIR"] == str(weights / "kernels")


def test_a_row_of_the_other_call_is_refused_by_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--quick", "--out", str(tmp_path / "out"), "--only", "cancel", "compiled"]
    for more, said in (([], "compiled: only with"), (["--compile"], "cancel: without")):
        with pytest.raises(SystemExit):
            main([*given, *more])
        assert f"{said} --compile" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
