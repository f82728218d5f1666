"""The benchmark of weights in 8 bits: that it works, and what it says."""

import math
from pathlib import Path

import PIL.Image
import pytest

from benchmarks import eight_bits
from benchmarks.eight_bits import Distances, faults, psnr, table


@pytest.mark.long
def test_a_quick_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    torch.set_num_threads(1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IMAGEN_CATALOG_DIR", str(Path(__file__).parents[2] / "catalog"))
    assert eight_bits.main(["--quick"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert len(rows) == 3
    assert rows[1].startswith("| none | ")


def test_the_distance_is_the_peak_signal_to_noise_ratio() -> None:
    black = PIL.Image.new("RGB", (2, 2))
    assert psnr(black, black) == math.inf
    one = black.copy()
    one.putpixel((0, 0), (10, 0, 0))
    assert psnr(black, one) == pytest.approx(10 * math.log10(255**2 / (100 / 12)))


def test_rows_that_are_too_far_off_are_named() -> None:
    good = Distances("none", (40.0, 29.0, 50.0), (31.0, 30.0, 32.0))
    bad = Distances("ink", (29.0, 28.0, 50.0), (31.0, 30.0, 32.0))
    assert table([good]).splitlines()[2] == "| none | 40.0 (29.0) dB | 31.0 (30.0) dB |"
    assert faults([good, bad]) == ["ink: 29.0 (28.0) dB, less than 30 dB"]
