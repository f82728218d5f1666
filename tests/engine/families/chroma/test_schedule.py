"""Noise levels are those of the authors' scheduler, and of diffusers for every shift."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

from bot.engine import sampling
from bot.engine.families.chroma import schedule
from catalog import ModelEntry
from catalog.families.chroma import CHROMA
from catalog.weight_files.prediction import Training, UnknownTraining

SIZE = (1024, 768)
DYNAMIC = {"use_dynamic_shifting": True}


def trained(folder: Path, entry: Any = None, **said: Any) -> Training:
    """As the scheduler's configuration says."""
    path = folder / "scheduler/scheduler_config.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    config = {**FlowMatchEulerDiscreteScheduler(shift=1.0).config, **said}
    path.write_text(json.dumps(config), encoding="utf-8")
    usual = ModelEntry(key="x", name="x", path="x", family=CHROMA, variant="hd")
    return schedule.training(folder, entry or usual)


def levels(training: Training, steps: int, name: str = "Euler") -> Any:
    scheduler = sampling.build(name, sampling.trained(training), steps)
    usual = schedule.timesteps(training, SIZE, steps)
    sampling.set_steps(scheduler, name, steps, None, "cpu", (), usual)
    return scheduler.sigmas.numpy()


@pytest.mark.parametrize("said", [{"shift": 1.0}, {"shift": 3.0}, DYNAMIC])
@pytest.mark.parametrize("steps", [1, 7])
def test_they_are_those_of_the_stock_pipeline(
    tmp_path: Path, said: dict[str, Any], steps: int
) -> None:
    from diffusers.pipelines.chroma.pipeline_chroma import calculate_shift

    scheduler = FlowMatchEulerDiscreteScheduler(**said)
    tokens = (SIZE[0] // 16) * (SIZE[1] // 16)
    spaced = np.linspace(1.0, 1 / steps, steps)
    scheduler.set_timesteps(sigmas=spaced, mu=calculate_shift(tokens))
    assert (levels(trained(tmp_path, **said), steps) == scheduler.sigmas.numpy()).all()


# By scipy.stats.beta.ppf(…, 0.6, 0.6), which diffusers needs for them.
QUANTILES = (1.0, 0.824319621347305, 0.5, 0.17568037865269498, 0.0)


@pytest.mark.parametrize("said", [{"shift": 1.0}, {"shift": 3.0}, DYNAMIC])
def test_the_base_models_are_spaced_by_a_beta_distribution(
    tmp_path: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After they are shifted, as diffusers does."""
    from diffusers.schedulers import scheduling_flow_match_euler_discrete as module

    known: dict[Any, float] = dict(zip(np.linspace(1, 0, 5), QUANTILES, strict=True))

    def ppf(of: Any, *_: float) -> float:
        return known[of]

    scipy = SimpleNamespace(stats=SimpleNamespace(beta=SimpleNamespace(ppf=ppf)))
    monkeypatch.setattr(module, "scipy", scipy, raising=False)
    monkeypatch.setattr(module, "is_scipy_available", lambda: True)
    scheduler = FlowMatchEulerDiscreteScheduler(use_beta_sigmas=True, **said)
    training = trained(tmp_path, use_beta_sigmas=True, **said)
    usual = schedule.timesteps(training, SIZE, 5)
    scheduler.set_timesteps(sigmas=np.linspace(1.0, 1 / 5, 5), mu=usual.get("mu"))
    found = levels(training, 5)
    assert found == pytest.approx(scheduler.sigmas.numpy(), abs=1e-6)
    assert found != pytest.approx(levels(trained(tmp_path, **said), 5), abs=1e-2)
    assert levels(training, 1)[0] == pytest.approx(1.0)


def test_the_distribution_is_that_of_scipy() -> None:
    found = schedule.quantiles(np.linspace(1, 0, 5))
    assert found.tolist() == pytest.approx(QUANTILES, abs=1e-12)


def test_an_entry_states_a_shift_of_its_own(tmp_path: Path) -> None:
    entry = ModelEntry(key="x", name="x", path="x", family=CHROMA, variant="hd", shift=2.0)
    assert trained(tmp_path, entry, **DYNAMIC).schedule["shift"] == 2.0


@pytest.mark.parametrize("option", ["use_karras_sigmas", "use_exponential_sigmas"])
def test_other_spacings_are_refused(tmp_path: Path, option: str) -> None:
    with pytest.raises(UnknownTraining, match=f"{option} is True; known is False"):
        trained(tmp_path, **{option: True})
