"""The noise levels that the transformer is asked about are those of the stock pipeline."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from diffusers.pipelines.flux2.pipeline_flux2_klein import compute_empirical_mu

from bot.engine import Engine, sampling
from bot.engine.families.flux2 import schedule
from catalog.families.flux2 import FLUX2
from catalog.weight_files.prediction import UnknownTraining
from tests.engine.factories import catalog, digests, model, paint, request
from tests.engine.families.flux2.conftest import BASE, KLEIN

ENTRY = model("x", KLEIN)


def levels(name: str, root: Path, steps: int, entry: Any = ENTRY) -> torch.Tensor:
    trained = schedule.training(root, entry)
    scheduler = sampling.build(name, sampling.trained(trained), steps)
    usual = schedule.timesteps(trained, (1024, 768), steps)
    sampling.set_steps(scheduler, name, steps, None, "cpu", (), usual)
    found: torch.Tensor = scheduler.sigmas
    return found


@pytest.mark.parametrize("tokens", [16, 3072, 4300, 4301, 16_384])
@pytest.mark.parametrize("steps", [1, 4, 50, 200])
def test_the_shift_is_the_authors(tokens: int, steps: int) -> None:
    assert schedule.shift(tokens, steps) == compute_empirical_mu(tokens, steps)


@pytest.mark.parametrize("steps", [1, 4, 50])
def test_levels_by_size_and_steps(folders: Path, steps: int) -> None:
    theirs = FlowMatchEulerDiscreteScheduler.from_pretrained(folders / KLEIN / "scheduler")
    evenly = [1 - number / steps for number in range(steps)]
    theirs.set_timesteps(sigmas=evenly, mu=compute_empirical_mu(64 * 48, steps))
    assert torch.allclose(levels("Euler", folders / KLEIN, steps), theirs.sigmas, atol=1e-7)


@pytest.mark.long
def test_other_schedulers_have_nearly_the_same_levels(painter: Engine, folders: Path) -> None:
    euler = levels("Euler", folders / KLEIN, 10)
    seen: set[str] = set()
    for name in FLUX2.schedulers:
        assert torch.allclose(levels(name, folders / KLEIN, 10), euler, atol=0.03)
        wanted = request(model="x", guidance=1.0, steps=10, scheduler=name)
        seen.add(*digests(paint(painter, wanted, catalog([model("x", BASE)]))))
    assert len(seen) == len(FLUX2.schedulers)


def test_a_fixed_shift_is_the_configurations_or_the_entrys(folders: Path, tmp_path: Path) -> None:
    say(folders, tmp_path, use_dynamic_shifting=False, shift=2.0)
    assert levels("Euler", tmp_path, 2).tolist() == pytest.approx([1.0, 2 / 3, 0.0])
    entry = model("x", KLEIN, prediction="flow", shift=3.0)
    for root in (tmp_path, folders / KLEIN):
        assert levels("Euler", root, 2, entry).tolist() == pytest.approx([1.0, 0.75, 0.0])


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("_class_name", "EulerDiscreteScheduler", "for EulerDiscreteScheduler; known is Flow"),
        ("time_shift_type", "linear", "time_shift_type is linear; known is exponential"),
        ("shift_terminal", 0.02, "shift_terminal is 0.02; known is None"),
        ("use_karras_sigmas", True, "use_karras_sigmas is True; known is False"),
        ("shift", "much", "shift is no number from 0 to"),
        ("use_dynamic_shifting", 1, "use_dynamic_shifting is neither true nor false"),
    ],
)
def test_what_would_change_the_levels_is_refused(
    folders: Path, tmp_path: Path, option: str, value: object, reason: str
) -> None:
    say(folders, tmp_path, **{option: value})
    with pytest.raises(UnknownTraining, match=reason):
        schedule.training(tmp_path, ENTRY)


def test_an_entry_that_says_another_prediction_is_refused(folders: Path) -> None:
    with pytest.raises(UnknownTraining, match="its entry says epsilon"):
        schedule.training(folders / KLEIN, model("x", KLEIN, prediction="epsilon"))


def say(folders: Path, root: Path, **options: object) -> None:
    """Write the scheduler's configuration of KLEIN with other options to `root`."""
    config = folders / KLEIN / "scheduler" / "scheduler_config.json"
    said = {**json.loads(config.read_text()), **options}
    (root / "scheduler").mkdir()
    (root / "scheduler" / "scheduler_config.json").write_text(json.dumps(said))
