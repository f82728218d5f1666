"""Which timesteps are painted at: the table of AYS, and models trained to noise alone."""

import math
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import Hires, InitImage
from catalog import SCHEDULERS
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    model,
    paint,
    picture,
    plain_pipeline,
    request,
    single_file,
)

SDXL = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "timestep_spacing": "leading",
    "steps_offset": 1,
}
TABLE = [999, 845, 730, 587, 443, 310, 193, 116, 53, 13]
SIGMAS = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113, 0.0]
"""Of the authors' page for SDXL."""
TAKING = ["DPM++ 2M", "DPM++ 2M SDE", "Euler", "Euler trailing", "Heun"]
VELOCITY = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True}


def spaced(name: str, steps: int) -> Any:
    from bot.engine import sampling
    from bot.engine.families import FAMILIES

    scheduler = sampling.build(name, SDXL, steps)
    sampling.set_steps(scheduler, name, steps, "AYS", "cpu", FAMILIES["sdxl"].ays)
    return scheduler


@pytest.mark.parametrize("name", TAKING)
def test_ten_steps_are_the_table(models_dir: Path, name: str) -> None:
    scheduler = spaced(name, 10)
    sigmas = list(dict.fromkeys(scheduler.sigmas.tolist()))
    assert list(dict.fromkeys(scheduler.timesteps.tolist())) == TABLE
    assert len(sigmas) == 11
    for ours, theirs in zip(sigmas, SIGMAS, strict=True):
        # The table names whole timesteps and rounds its sigmas.
        assert ours == pytest.approx(theirs, rel=0.015)


@pytest.mark.parametrize("steps", [1, 4, 9, 11, 20, 50, 100])
def test_other_counts_lie_between(models_dir: Path, steps: int) -> None:
    times = spaced("Euler", steps).timesteps.tolist()
    assert len(times) == steps
    assert times[0] == 999
    assert times == sorted(set(times), reverse=True)
    assert times[-1] >= 0


def test_twenty_steps_meet_the_table_at_every_other_one(models_dir: Path) -> None:
    levels = [math.log(sigma) for sigma in spaced("Euler", 20).sigmas.tolist()[:-1]]
    assert spaced("Euler", 20).timesteps.tolist()[::2] == TABLE
    for before, between, after in zip(levels[::2], levels[1::2], levels[2::2], strict=False):
        assert between == pytest.approx((before + after) / 2, abs=0.03)


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in TAKING])
def test_who_makes_timesteps_of_its_own_takes_no_others(engine: Engine, name: str) -> None:
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(scheduler=name, spacing="AYS", steps=10))
    assert failure.value.code == "scheduler.spacing"
    assert failure.value.params == {"scheduler": name, "spacing": "AYS"}


@pytest.mark.parametrize("name", ["DPM++ 2M Karras", "UniPC", "Euler a", "Heun"])
def test_a_later_beginning_is_exact(models_dir: Path, name: str) -> None:
    """Karras' spacing rounds several steps to one timestep, by which none can be told."""
    import torch

    from bot.engine import sampling

    steps = 100
    for skipped in (3, 97, 98):
        scheduler = sampling.build(name, SDXL, steps)
        sampling.set_steps(scheduler, name, steps, None, "cpu", ())
        left = sampling.skip_to(scheduler, skipped)
        assert len(left) == len(scheduler.timesteps) - skipped * scheduler.order
        latents = torch.ones(1, 4, 2, 2)
        noisy = scheduler.scale_model_input(latents, left[0])
        scheduler.step(noisy, left[0], latents, return_dict=False)
        assert scheduler.step_index == skipped * scheduler.order + 1


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    return plain_pipeline(models_dir / TINY)


def by_hand(plain: Any, scheduler: str, config: dict[str, Any], **options: Any) -> bytes:
    """`request()` painted by diffusers with a scheduler of that class."""
    import diffusers
    import torch

    plain.scheduler = getattr(diffusers, scheduler)(**config)
    fields: dict[str, Any] = {"num_inference_steps": 2, "guidance_scale": 5.0}
    image = plain(
        "a fox in the snow",
        negative_prompt="",
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
        **{**fields, **options},
    ).images[0]
    pixels: bytes = image.tobytes()
    return pixels


def test_it_paints_what_diffusers_paints(engine: Engine, plain: Any) -> None:
    painted = paint(engine, request(scheduler="DPM++ 2M", spacing="AYS", steps=10)).images[0]
    options = {"num_inference_steps": None, "timesteps": TABLE}
    expected = by_hand(plain, "DPMSolverMultistepScheduler", SDXL, **options)
    assert painted.image.tobytes() == expected


@pytest.mark.parametrize(
    ("markers", "fields"),
    [
        (("v_pred", "ztsnr"), {}),
        ((), {"prediction": "v_prediction", "zero_terminal_snr": True}),
        (("ztsnr",), {"prediction": "v_prediction"}),
    ],
)
@pytest.mark.parametrize(
    ("scheduler", "kind"), [("Euler", "EulerDiscreteScheduler"), ("DDIM", "DDIMScheduler")]
)
def test_the_velocity_from_noise_alone(
    engine: Engine,
    plain: Any,
    models_dir: Path,
    tmp_path: Path,
    markers: tuple[str, ...],
    fields: dict[str, Any],
    scheduler: str,
    kind: str,
) -> None:
    file = single_file(models_dir / TINY, tmp_path / "v.safetensors", markers=markers)
    entry = model("v", str(file), config="tiny", guidance_rescale=0.7, **fields)
    painting = paint(engine, request(model="v", scheduler=scheduler), catalog([entry]))
    config = {**SDXL, **VELOCITY, "timestep_spacing": "trailing"}
    if kind == "DDIMScheduler":
        config |= {"clip_sample": False, "set_alpha_to_one": False}
    expected = by_hand(plain, kind, config, guidance_rescale=0.7)
    assert painting.images[0].image.tobytes() == expected
    assert painting.recipe.scheduler["prediction_type"] == "v_prediction"
    assert painting.recipe.scheduler["rescale_betas_zero_snr"] is True
    assert painting.recipe.environment["guidance_rescale"] == "0.7"


def test_the_entry_knows_better_than_the_file(
    engine: Engine, models_dir: Path, tmp_path: Path
) -> None:
    file = single_file(models_dir / TINY, tmp_path / "v.safetensors", markers=("v_pred", "ztsnr"))
    fields = {"prediction": "epsilon", "zero_terminal_snr": False}
    entries = [
        model("mended", str(file), config="tiny", **fields),
        model("marked", str(file), config="tiny"),
    ]
    offered = catalog(entries)
    usual = digests(paint(engine, request()))
    assert digests(paint(engine, request(model="mended"), offered)) == usual
    assert digests(paint(engine, request(model="marked"), offered)) != usual
    assert digests(paint(engine, request(model="mended"), offered)) == usual


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
def test_every_scheduler_begins_at_noise_alone_or_says_that_it_cannot(
    models_dir: Path, name: str, prediction: str
) -> None:
    from bot.engine import sampling
    from bot.engine.sampling import Training

    config = sampling.trained(SDXL, Training(prediction, zero_snr=True), model("m", "m"))
    unable = {"DPM++ SDE Karras", "Heun"}
    if prediction == "epsilon":
        unable |= {"DDIM", "LCM", "TCD"}
    if name in unable:
        with pytest.raises(JobFailed) as failure:
            sampling.build(name, config, 8)
        assert failure.value.code == "scheduler.zero_snr"
        assert failure.value.params["scheduler"] == name
        allowed = failure.value.params["allowed"]
        assert isinstance(allowed, tuple)
        assert allowed
        assert not unable & {*allowed}
        return
    scheduler = sampling.build(name, config, 8)
    sampling.set_steps(scheduler, name, 8, None, "cpu", ())
    assert scheduler.timesteps[0] == 999
    assert scheduler.alphas_cumprod[999] < 1e-7


@pytest.mark.parametrize(
    "name", [name for name in SCHEDULERS if name not in {"DPM++ SDE Karras", "Heun"}]
)
def test_noise_alone_is_painted_to_a_picture(engine: Engine, name: str) -> None:
    fields = {"prediction": "v_prediction", "zero_terminal_snr": True}
    offered = catalog([model("v", "tiny", **fields)])
    shared = {"model": "v", "scheduler": name, "steps": 4}
    first = paint(engine, request(**shared), offered)
    over = InitImage(picture(), 0.5)
    paint(engine, request(**shared, init_image=over, hires=Hires(1.25, 0.4, 4)), offered)
    assert digests(paint(engine, request(**shared), offered)) == digests(first)
