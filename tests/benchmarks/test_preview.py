"""The preview benchmark with a small job: that it works, not how long it takes."""

from pathlib import Path

import pytest

from benchmarks import preview, sdxl_weights
from benchmarks.preview import AS_THE_BOT, EVERY_STEP, NONE, Measured
from tests.benchmarks.tiny import TINY

pytestmark = pytest.mark.long


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEN_DEVICE", "cpu")
    monkeypatch.setenv("IMAGEN_CATALOG_DIR", str(Path(__file__).parents[2] / "catalog"))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("model", ["demo", "true-sdxl"])
def test_a_quick_run(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.set_num_threads(1)
    monkeypatch.setattr(sdxl_weights, "QUICK", TINY)
    assert preview.main(["--quick", "--model", model]) == 0
    out = capsys.readouterr().out
    assert f"job: {model}, 128x128, 10 steps" in out
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ") for line in out.splitlines()}
    assert rows[NONE][2] == "1.0000"
    assert rows[NONE][4] == "0.0"
    assert rows[EVERY_STEP][4] == "9.0"  # the last of the ten steps has none
    assert AS_THE_BOT in rows
    assert "FAILED" not in out


def found(pixels: str, *previews: int) -> Measured:
    seconds = [1.0, 9.0, 2.0]
    return Measured(seconds, cpu=seconds, pixels={pixels}, previews=list(previews))


def test_what_is_wrong_is_said() -> None:
    good = {NONE: found("a"), AS_THE_BOT: found("a"), EVERY_STEP: found("a", 9)}
    assert preview.faults(good) == []
    assert preview.faults({**good, AS_THE_BOT: found("b")}) == ["the images differ"]
    for wrong in ({EVERY_STEP: found("a")}, {NONE: found("a", 9)}):
        [fault] = preview.faults({**good, **wrong})
        assert "previews" in fault


def test_the_median_of_the_rounds_counts() -> None:
    slower = Measured([1.1, 9.9, 8.0], cpu=[3.0, 3.0, 3.0], pixels={"a"}, previews=[10, 20])
    lines = preview.table({NONE: found("a"), EVERY_STEP: slower}).splitlines()
    assert lines[2] == "| none | 2.000 | 1.0000 | 1.0000 | 0.0 | – |"
    assert lines[3] == "| at every step | 8.000 | 1.1000 | 1.5000 | 0.7 | 15 |"
