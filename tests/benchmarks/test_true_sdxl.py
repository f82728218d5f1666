"""The parts of the full-size benchmark that need neither weights nor minutes."""

import os
import sys
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

from benchmarks import sdxl_weights, true_sdxl
from benchmarks.watched import Watched, stages_of, watch
from bot.engine.families import FAMILIES
from catalog import read_catalog
from tests.benchmarks.tiny import TINY

pytestmark = pytest.mark.long

PUBLISHED = {
    "text_encoder": 123_060_480,
    "text_encoder_2": 694_659_840,
    "unet": 2_567_463_684,
    "vae": 83_653_863,
}
"""Number of parameters in each part of stabilityai/stable-diffusion-xl-base-1.0."""


def test_every_part_has_as_many_numbers_as_the_published_one() -> None:
    parts = {name: sdxl_weights.on_meta(make) for name, make in sdxl_weights.TRUE.parts().items()}
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    assert counts == PUBLISHED
    assert round(2 * sum(counts.values()) / 1e9, 3) == 6.938  # GB in 16 bits


@pytest.mark.parametrize("shape", [sdxl_weights.TRUE, sdxl_weights.QUICK], ids=lambda s: s.name)
def test_the_loras_change_986_modules_that_the_model_has(shape: sdxl_weights.Shape) -> None:
    parts = {name: sdxl_weights.on_meta(make) for name, make in shape.parts().items()}
    parts.pop("vae")
    known = FAMILIES["sdxl"].targets(parts)
    adapted = shape.adapted()
    assert len(adapted) == 986
    assert len([name for name in adapted if name.startswith("lora_unet_")]) == 722
    assert {name: known[name].shape for name in adapted} == adapted


def test_the_catalog_is_sound_and_allows_one_step(tmp_path: Path) -> None:
    for shape in (sdxl_weights.TRUE, sdxl_weights.QUICK):
        sdxl_weights.write_catalog(tmp_path / shape.name, tmp_path / "weights", shape)
        catalog = read_catalog(tmp_path / shape.name, tmp_path / "models")
        # The weights are missing: it reports that, and nothing else.
        assert all("path" in problem.reason for problem in catalog.problems)
        assert tuple(catalog.models) == sdxl_weights.MODELS
        assert tuple(catalog.adapters) == sdxl_weights.LORAS
        assert catalog.models[sdxl_weights.MODELS[0]].steps.min == 1
        assert catalog.models[sdxl_weights.MODELS[0]].size == (shape.side, shape.side)


def test_what_the_terminal_shows_becomes_seconds_per_stage() -> None:
    shown = [
        (0.0, "starting Python"),
        (1.0, "Loading true-sdxl"),
        (2.0, "Loading true-sdxl"),
        (4.0, "Step 0/2 ▱▱"),
        (7.0, "Step 1/2 ▰▱"),
        (12.0, "Step 2/2 ▰▰"),
        (12.5, "Saving"),
    ]
    assert stages_of(shown, 13.0) == [
        ("starting Python", [1.0]),
        ("Loading true-sdxl", [3.0]),
        ("Step", [3.0, 5.0, 0.5]),
        ("Saving", [0.5]),
    ]


def test_a_process_is_watched_to_its_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = (
        "import sys\n"
        "print('a log line', file=sys.stderr)\n"
        "for text in ('Loading', 'Step 0/1', 'Step 1/1', ''):\n"
        "    print('\\r\\033[K' + text, end='', file=sys.stderr)\n"
        "print('{}')\n"
        "sys.exit(3)\n"
    )
    watched = watch([sys.executable, "-c", program], dict(os.environ), tmp_path)
    assert (watched.code, watched.output) == (3, "{}\n")
    assert [label for label, _ in watched.stages] == ["starting Python", "Loading", "Step"]
    assert sum(sum(parts) for _, parts in watched.stages) == pytest.approx(watched.seconds)
    assert watched.rss > 2**20
    assert "a log line" in capfd.readouterr().err


def test_a_quick_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    paintings: list[Watched] = []

    def once(*call: Any) -> Watched:
        if not paintings:  # a second process would take just as long
            paintings.append(watch(*call))
        return paintings[0]

    monkeypatch.setattr(sdxl_weights, "QUICK", TINY)
    monkeypatch.setattr(true_sdxl, "watch", once)
    monkeypatch.setenv("IMAGEN_DEVICE", "cpu")
    assert true_sdxl.main(["--quick", "--steps", "1", "--guidance", "1"]) == 0
    out = capsys.readouterr().out
    assert "run 2: 128x128, steps 1, guidance 1" in out
    assert "sha256 of true-lora-a: " in out
    assert "the two PNG files: byte-identical" in out


def test_black_and_flat_pictures_are_found() -> None:
    assert true_sdxl.problem_of(PIL.Image.new("RGB", (64, 64))) == "the image is black"
    grey = PIL.Image.new("RGB", (64, 64), (90, 91, 92))
    assert "flat" in (true_sdxl.problem_of(grey) or "")
    grey.paste((200, 10, 10), (0, 0, 32, 64))
    assert true_sdxl.problem_of(grey) is None
