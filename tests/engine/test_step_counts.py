"""Every sampler with every training, for every number of steps, with and without initial image."""

import itertools
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from catalog import SCHEDULERS
from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, VELOCITY
from tests.engine.factories import catalog, digests, model, paint, request

TRAININGS = (
    (EPSILON, None),
    (EPSILON, True),
    (VELOCITY, None),
    (VELOCITY, True),
    (EDM, None),
    (EDM_VELOCITY, None),
    (FLOW, None),
)
"""Prediction, and whether with zero terminal SNR."""
COUNTS = (*range(1, 61), 100)
LEADING = {"timestep_spacing": "leading", "steps_offset": 1}
"""As in SDXL's own configuration."""


class Nothing:
    """A denoiser's conditioning that predicts nothing."""

    rows = 1
    tokens = 77

    def predict(self, _: Any, latents: Any, __: Any) -> Any:
        return latents * 0


def sampled(name: str, prediction: str, zero_snr: bool | None, steps: int, taken: int) -> Any:
    """Latents after the last `taken` of `steps` steps, or None for a sampler that is refused."""
    import torch

    from bot.engine import sampling
    from bot.engine.denoise import Guidance, denoise
    from bot.engine.families import FAMILIES
    from catalog.weight_files.prediction import Claim, resolved

    training = resolved([Claim("here", schedule=LEADING)], prediction, zero_snr)
    try:
        scheduler = sampling.build(name, sampling.trained(training), steps)
    except JobFailed as refused:
        if refused.code not in {"scheduler.prediction", "scheduler.zero_snr"}:
            raise
        return None
    family = FAMILIES["sdxl"]
    usual = family.timesteps(training, (64, 64), steps)
    sampling.set_steps(scheduler, name, steps, None, "cpu", family.ays, usual)
    generator = torch.Generator().manual_seed(0)
    latents = torch.randn(1, 4, 2, 2, generator=generator)
    timesteps = scheduler.timesteps
    if taken < steps:
        timesteps = sampling.skip_to(scheduler, steps - taken)
        latents = sampling.noisy(scheduler, latents, latents.flip(-1), timesteps)
    else:
        latents = latents * sampling.initial_scale(scheduler)
    evaluations = []
    clean = denoise(
        lambda: None,
        scheduler,
        timesteps,
        latents,
        lambda _: Nothing(),
        Guidance(scale=1.0, combine=lambda _, asked, __: asked),
        generator,
        lambda number, _: evaluations.append(number),
    )
    assert len(evaluations) in {taken * scheduler.order, taken * scheduler.order - 1}
    return clean


@pytest.mark.parametrize("counts", [(8, 30), pytest.param(COUNTS, marks=pytest.mark.long)])
@pytest.mark.parametrize(("prediction", "zero_snr"), TRAININGS)
@pytest.mark.parametrize("name", SCHEDULERS)
def test_every_number_of_steps_ends(
    models_dir: None, name: str, prediction: str, zero_snr: bool | None, counts: tuple[int, ...]
) -> None:
    for steps, share in itertools.product(counts, (1.0, 0.6)):
        clean = sampled(name, prediction, zero_snr, steps, max(1, int(steps * share)))
        assert clean is None or clean.isfinite().all(), (steps, share)


@pytest.mark.parametrize("scheduler", ["DPM++ 2M Karras", "DPM++ 2M SDE Karras"])
@pytest.mark.long
def test_an_image_whose_first_steps_share_a_timestep(engine: Engine, scheduler: str) -> None:
    """From noise alone, where Karras' spacing has several noise levels above one timestep."""
    fields = {"prediction": "v_prediction", "zero_terminal_snr": True}
    offered = catalog([model("v", "tiny", **fields)])
    wanted = request(model="v", scheduler=scheduler, steps=30, guidance=1.0)
    assert digests(paint(engine, wanted, offered)) != digests(paint(engine, request(steps=30)))
