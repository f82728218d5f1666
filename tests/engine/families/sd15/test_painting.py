"""Pictures of SD 1.5 against those of diffusers' own pipelines."""

from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import AYS, Hires, InitImage
from catalog.schedulers import SCHEDULERS
from tests.engine.factories import digests, opened, paint, picture
from tests.engine.families.sd15.factories import catalog, model, request
from tests.parameters import mostly_long

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "Euler": ("EulerDiscreteScheduler", {}),
    "DPM++ 2M Karras": ("DPMSolverMultistepScheduler", {"use_karras_sigmas": True}),
    "DDIM": ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False}),
    "Heun": ("HeunDiscreteScheduler", {}),
}


def scheduler_of(plain: Any, name: str, **options: Any) -> Any:
    """As diffusers' documentation makes one of a model's own."""
    import diffusers

    kind, config = KINDS[name]
    return getattr(diffusers, kind).from_config(plain.scheduler.config, **config, **options)


def expected(plain: Any, scheduler: Any, **options: Any) -> bytes:
    """The image that a pipeline of diffusers makes with `scheduler` for 3 steps."""
    import torch

    own, plain.scheduler = plain.scheduler, scheduler
    fields = {"num_inference_steps": 3, "guidance_scale": 5.0, "negative_prompt": "blurry"}
    try:
        made = plain(
            "a fox in the snow",
            generator=torch.Generator().manual_seed(11),
            **{**fields, **options},
        )
    finally:
        plain.scheduler = own
    pixels: bytes = made.images[0].tobytes()
    return pixels


def painted(engine: Engine, *models: Any, **fields: Any) -> bytes:
    asked = request(**{"negative": "blurry", "steps": 3, "width": 72, **fields})
    (image,) = paint(engine, asked, catalog(models)).images
    return image.image.tobytes()


@pytest.mark.parametrize(
    ("scheduler", "guidance"),
    mostly_long([("Euler", 5.0), ("DDIM", 1.0), *((s, 5.0) for s in KINDS)], usual=3),
)
def test_paints_what_diffusers_paints(
    engine: Engine, plain: Any, scheduler: str, guidance: float
) -> None:
    theirs = expected(
        plain, scheduler_of(plain, scheduler), guidance_scale=guidance, width=72, height=64
    )
    assert painted(engine, scheduler=scheduler, guidance=guidance) == theirs


def test_opposite_edges_meet_as_in_diffusers_with_wrapped_convolutions(
    engine: Engine, plain: Any
) -> None:
    from tests.engine.circular import circular

    with circular(plain.unet, plain.vae):
        theirs = expected(plain, scheduler_of(plain, "Euler"), width=72, height=64)
    assert painted(engine, tile=True) == theirs != painted(engine)


@pytest.mark.parametrize("skip", mostly_long([2, 3], usual=1))
def test_clip_skip_counts_from_1(
    engine: Engine, plain: Any, monkeypatch: pytest.MonkeyPatch, skip: int
) -> None:
    """As AUTOMATIC1111 does, for both prompts; diffusers counts from 0, for the prompt only."""
    import torch
    from transformers import CLIPTextModel

    # The pipeline takes the last norm of what transformers 5 has no more.
    monkeypatch.setattr(CLIPTextModel, "text_model", property(lambda self: self), raising=False)
    with torch.inference_mode():
        wrong, _ = plain.encode_prompt("blurry", "cpu", 1, False, clip_skip=skip - 1)
    theirs = expected(
        plain,
        scheduler_of(plain, "Euler"),
        clip_skip=skip - 1,
        negative_prompt=None,
        negative_prompt_embeds=wrong,
        width=72,
        height=64,
    )
    assert painted(engine, clip_skip=skip) == theirs
    assert painted(engine, clip_skip=1) == painted(engine) != theirs


def test_a_layer_that_is_not_there_is_refused(engine: Engine) -> None:
    with pytest.raises(JobFailed) as failure:
        painted(engine, clip_skip=5)
    assert failure.value.code == "model.clip_skip"
    assert failure.value.params["max"] == 4


@pytest.mark.parametrize(
    ("scheduler", "strength"),
    mostly_long([("Euler", 0.7), ("DDIM", 0.4), *((s, 0.7) for s in KINDS)], usual=2),
)
def test_paints_over_as_diffusers_does(
    engine: Engine, plain: Any, scheduler: str, strength: float
) -> None:
    from diffusers import StableDiffusionImg2ImgPipeline

    over = StableDiffusionImg2ImgPipeline(**plain.components, requires_safety_checker=False)
    over.set_progress_bar_config(disable=True)
    sha256 = picture((72, 64))
    image = opened(sha256)
    theirs = expected(over, scheduler_of(plain, scheduler), image=image, strength=strength)
    init = InitImage(sha256, strength)
    assert painted(engine, scheduler=scheduler, init_image=init) == theirs


@pytest.mark.parametrize("scheduler", mostly_long(["Euler", "DPM++ 2M Karras", "DDIM"], usual=1))
@pytest.mark.parametrize("zero_snr", [False, True])
@pytest.mark.long
def test_a_model_that_predicts_the_velocity_paints_as_in_diffusers(
    engine: Engine, plain: Any, scheduler: str, zero_snr: bool
) -> None:
    options: dict[str, Any] = {"prediction_type": "v_prediction"}
    if zero_snr:
        options |= {"rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
    theirs = expected(
        plain,
        scheduler_of(plain, scheduler, **options),
        guidance_rescale=0.7 if zero_snr else 0.0,
        width=72,
        height=64,
    )
    child = model(
        "child",
        "sd15",
        prediction="v_prediction",
        zero_terminal_snr=zero_snr,
        guidance_rescale=0.7 if zero_snr else 0.0,
    )
    assert painted(engine, child, model="child", scheduler=scheduler) == theirs
    assert theirs != painted(engine, scheduler=scheduler)


@pytest.mark.parametrize("scheduler", mostly_long(SCHEDULERS, usual=2))
def test_every_scheduler_paints_over_and_twice(engine: Engine, scheduler: str) -> None:
    over = InitImage(picture(), 0.6)
    hires = Hires(1.5, 0.5, 2)
    found = {
        tuple(digests(paint(engine, request(scheduler=scheduler, **fields), catalog())))
        for fields in ({}, {"hires": hires}, {"init_image": over, "hires": hires})
    }
    assert len(found) == 3


@pytest.mark.long
def test_the_draft_uses_the_timesteps_of_sd_15(engine: Engine) -> None:
    """Those of arXiv 2404.14507 for it, not those for SDXL."""
    from bot.engine.families import FAMILIES

    table = FAMILIES["sd15"].ays
    assert table == (999, 850, 736, 645, 545, 455, 343, 233, 124, 24)
    assert FAMILIES["sdxl"].ays != table
    asked = request(spacing=AYS, steps=10)
    assert digests(paint(engine, asked, catalog())) != digests(
        paint(engine, request(steps=10), catalog())
    )


def test_latents_are_previewed_in_colours_of_their_own() -> None:
    """ComfyUI's factors map to -1 to 1; its previews are (colour + 1) / 2 · 255."""
    import torch

    from bot.engine.families import FAMILIES
    from bot.engine.preview import picture as previewed

    latents = torch.tensor([0.5, -0.25, 1.0, 0.125]).view(1, 4, 1, 1)
    image = previewed(latents, FAMILIES["sd15"].preview)
    red = 0.5 * 0.3512 - 0.25 * 0.3250 - 1.0 * 0.2829 - 0.125 * 0.2120
    green = 0.5 * 0.2297 - 0.25 * 0.4974 + 1.0 * 0.1762 - 0.125 * 0.2616
    blue = 0.5 * 0.3227 - 0.25 * 0.2350 + 1.0 * 0.2721 - 0.125 * 0.7177
    wanted = tuple(int((colour + 1) / 2 * 255) for colour in (red, green, blue))
    assert image.getpixel((0, 0)) == wanted


def test_latents_of_another_scale_are_previewed_at_its_own() -> None:
    from types import SimpleNamespace

    import torch

    from bot.engine.families import FAMILIES

    clean = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    mean, deviation = [0.5, -0.5, 0.25, 0.0], [2.0, 1.0, 0.5, 4.0]
    config = SimpleNamespace(latents_mean=mean, latents_std=deviation, scaling_factor=0.5)
    vae = SimpleNamespace(config=config)
    seen = FAMILIES["sd15"].scaled(vae, clean)
    previewed = FAMILIES["sd15"].previewed(vae, seen)
    torch.testing.assert_close(previewed, 0.18215 * clean)


def test_it_is_sampled_like_the_folder_says_and_not_like_its_own_scheduler(engine: Engine) -> None:
    """PNDM, which nobody asked for, leaves its options behind."""
    recipe = paint(engine, request(), catalog()).recipe
    assert recipe.scheduler["class"] == "EulerDiscreteScheduler"
    assert recipe.scheduler["beta_schedule"] == "scaled_linear"
    assert recipe.scheduler["steps_offset"] == 1
