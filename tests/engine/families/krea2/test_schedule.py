"""The noise levels that the transformer is asked about are those of the stock pipeline."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.krea2.pipeline_krea2 import calculate_shift

from bot.engine.families.krea2 import Krea2, schedule
from catalog.weight_files.prediction import UnknownTraining
from tests.engine.families.krea2.conftest import RAW, TURBO, entry

SIZES = ((256, 256), (1024, 1024), (1280, 1280), (2048, 1024))


def levels(root: Path, size: tuple[int, int], **fields: Any) -> dict[str, Any]:
    trained = schedule.training(root, entry(root, **fields))
    return {**Krea2().timesteps(trained, size, 8)}


@pytest.mark.parametrize("size", SIZES)
def test_those_of_raw_are_shifted_by_size_and_those_of_turbo_alike(
    folders: Path, size: tuple[int, int]
) -> None:
    theirs = FlowMatchEulerDiscreteScheduler.from_pretrained(folders / RAW / "scheduler").config
    tokens = size[0] // 16 * (size[1] // 16)
    expected = calculate_shift(
        tokens,
        theirs.base_image_seq_len,
        theirs.max_image_seq_len,
        theirs.base_shift,
        theirs.max_shift,
    )
    found = levels(folders / RAW, size)
    assert found["mu"] == expected
    assert np.array_equal(found["sigmas"], np.linspace(1.0, 1 / 8, 8))
    # Whichever variant lends the configuration, they have the same.
    assert levels(folders / TURBO, size, variant="raw")["mu"] == expected
    for name in (TURBO, RAW):
        assert levels(folders / name, size, variant="turbo")["mu"] == 1.15


def test_a_fixed_shift_is_the_configurations_or_the_entrys(folders: Path, tmp_path: Path) -> None:
    assert "mu" not in levels(folders / TURBO, (1024, 1024), shift=3.0)
    file = tmp_path / "scheduler" / "scheduler_config.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"use_dynamic_shifting": False, "shift": 2.0}))
    trained = schedule.training(tmp_path, entry(TURBO))
    assert trained.schedule["shift"] == 2.0
    assert "mu" not in Krea2().timesteps(trained, (1024, 1024), 8)


def test_a_scheduler_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "scheduler" / "scheduler_config.json"
    file.parent.mkdir()
    file.write_text(json.dumps({"shift_terminal": 0.02}))
    with pytest.raises(UnknownTraining, match=r"shift_terminal is 0\.02"):
        schedule.training(tmp_path, entry(TURBO))
