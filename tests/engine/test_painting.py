"""One job: pixels, seeds, steps, prompts, the recipe."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed, PaintStopped, StopReason
from bot.painting import PaintedImage
from bot.progress import Progress, Stage
from bot.recipe import Recipe
from tests.engine.factories import (
    TINY,
    catalog,
    digests,
    model,
    ordered,
    paint,
    plain_pipeline,
    request,
    resident,
)

LONG = ", ".join(["fox"] * 60)


@pytest.fixture(scope="module")
def plain(models_dir: Path) -> Any:
    """The same model in plain diffusers."""
    return plain_pipeline(models_dir / TINY)


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("clip_skip", [None, 3])
def test_paints_what_diffusers_paints(
    engine: Engine, plain: Any, guidance: float, clip_skip: int | None
) -> None:
    """But for clip skip, which is for the negative prompt as well, as in AUTOMATIC1111 and ComfyUI:
    in diffusers it is for the prompt only."""
    import torch

    asked = request(
        guidance=guidance, clip_skip=clip_skip, negative="blurry", width=72, trigger_words=("art",)
    )
    painted = paint(engine, asked).images[0]
    skipped = None if clip_skip is None else clip_skip - 2
    with torch.inference_mode():
        wrong, _, wrong_pooled, _ = plain.encode_prompt("blurry", clip_skip=skipped)
    expected = plain(
        "a fox in the snow, art",
        negative_prompt_embeds=wrong,
        negative_pooled_prompt_embeds=wrong_pooled,
        num_inference_steps=2,
        guidance_scale=guidance,
        clip_skip=skipped,
        width=72,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert painted.image.size == (72, 64)
    assert painted.image.tobytes() == expected.tobytes()


def test_image_n_of_a_batch_is_the_image_painted_alone(engine: Engine) -> None:
    batch = paint(engine, request(count=3, scheduler="Euler a", seed=2**32 - 2))
    assert [image.seed for image in batch.images] == [2**32 - 2, 2**32 - 1, 0]
    alone = [paint(engine, request(scheduler="Euler a", seed=i.seed)) for i in batch.images]
    assert digests(batch) == [digests(one)[0] for one in alone]
    assert len(set(digests(batch))) == 3


@pytest.mark.parametrize("scheduler", ["Heun", "DPM++ SDE Karras", "LCM"])
def test_every_step_is_reported_once_in_order(engine: Engine, scheduler: str) -> None:
    seen: list[Progress] = []
    paint(engine, request(scheduler=scheduler, steps=3, count=2), report=seen.append)
    painting = [(p.image, p.step) for p in seen if p.stage is Stage.PAINTING]
    assert list(dict.fromkeys(painting)) == [(i, s) for i in (1, 2) for s in range(4)]
    assert painting == sorted(painting)
    assert {(p.steps, p.count) for p in seen if p.stage is Stage.PAINTING} == {(3, 2)}
    assert [p.image for p in seen if p.stage is Stage.DECODING] == [1, 2]


def test_the_recipe_is_complete_json_and_repeats(engine: Engine, fresh: Engine) -> None:
    asked = request(scheduler="DPM++ 2M Karras")
    recipe = paint(engine, asked).recipe
    again = paint(fresh, asked).recipe
    assert again == recipe
    assert again.changed_since(recipe) == ()
    text = json.dumps(recipe.to_dict(), allow_nan=False)
    assert Recipe.from_dict(json.loads(text)) == recipe
    assert recipe.checkpoint
    assert recipe.checkpoint.name == "demo"
    assert len(recipe.checkpoint.sha256) == 64
    assert recipe.checkpoint.short == recipe.checkpoint.sha256[:10]
    assert recipe.scheduler["class"] == "DPMSolverMultistepScheduler"
    assert recipe.scheduler["use_karras_sigmas"] is True
    assert recipe.environment["threads"] == "1"
    assert {"torch", "diffusers", "device", "dtype", "noise"} <= recipe.environment.keys()


def test_all_of_a_long_prompt_is_painted(engine: Engine) -> None:
    asked = request(prompt=LONG, negative=LONG)
    painting = paint(engine, asked)
    assert painting.warnings == ()
    for changed in ({"prompt": f"{LONG}, snow"}, {"negative": f"{LONG}, snow"}):
        other = request(**{"prompt": LONG, "negative": LONG} | changed)
        assert digests(paint(engine, other)) != digests(painting)
    assert digests(paint(engine, asked)) == digests(painting)


def test_weights_change_the_picture_and_a_weight_of_one_does_not(engine: Engine) -> None:
    plain = digests(paint(engine, request(prompt="a fox in the snow")))
    assert digests(paint(engine, request(prompt="a (fox:1.0) in the snow"))) == plain
    assert digests(paint(engine, request(prompt="a (fox:1.5) in the snow"))) != plain


def test_a_stop_ends_at_the_next_step_and_leaves_nothing_behind(engine: Engine) -> None:
    asked = request(steps=8)
    expected = digests(paint(engine, asked))
    seen: list[Progress] = []

    def stop_at_three() -> None:
        if any(p.step == 3 for p in seen):
            raise PaintStopped(StopReason.CANCELLED)

    with pytest.raises(PaintStopped):
        paint(engine, asked, report=seen.append, check_stop=stop_at_three)
    assert max(p.step for p in seen) == 3
    assert not [p for p in seen if p.stage is Stage.DECODING]
    assert digests(paint(engine, asked)) == expected


def test_a_stop_before_the_start_paints_nothing(fresh: Engine) -> None:
    def stop() -> None:
        raise PaintStopped(StopReason.SHUTDOWN)

    with pytest.raises(PaintStopped):
        paint(fresh, request(), check_stop=stop)
    assert fresh.loaded is None


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        (request(model="nobody"), "model.gone"),
        (request(("nobody", 1.0)), "adapter.gone"),
        (request(clip_skip=5), "model.clip_skip"),
    ],
)
def test_what_cannot_be_painted_is_named(engine: Engine, asked: Any, code: str) -> None:
    with pytest.raises(JobFailed) as failure:
        paint(engine, asked)
    assert failure.value.code == code


def test_a_device_that_is_not_there_is_said(models_dir: Path, tmp_path: Path) -> None:
    import torch

    absent = "mps" if not torch.backends.mps.is_available() else "cuda"
    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", device=absent)
    with pytest.raises(JobFailed) as failure:
        paint(engine, request())
    assert (failure.value.code, failure.value.params) == ("device.absent", {"device": absent})
    with pytest.raises(JobFailed) as failure:
        engine.warm_up()
    assert failure.value.code == "device.absent"
    report = engine.device_report()
    assert report.device == absent
    assert report.problem
    assert absent in report.problem


def test_the_cpu_is_reported(engine: Engine) -> None:
    report = Engine(models_dir=Path(), hashes_file=Path(), device="cpu").device_report()
    assert (report.device, report.dtype, report.problem) == ("cpu", "float32", None)
    assert report.name


def broken(engine: Engine, monkeypatch: pytest.MonkeyPatch, part: str, value: float) -> None:
    """Make `part` of the loaded model return `value` everywhere."""
    module = resident(engine).network(part)
    method = "decode" if part == "vae" else "forward"
    real = getattr(module, method)

    def answer(*args: Any, **kwargs: Any) -> tuple[Any]:
        return (real(*args, **kwargs)[0] * 0 + value,)

    monkeypatch.setattr(module, method, answer)


@pytest.mark.parametrize(
    ("part", "value", "code"),
    [
        ("vae", float("nan"), "image.not_finite"),
        ("vae", -9.0, "image.black"),
        ("unet", float("inf"), "image.diverged"),
    ],
)
def test_no_black_square_is_returned(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, part: str, value: float, code: str
) -> None:
    expected = digests(paint(engine, request()))
    with monkeypatch.context() as patch:
        broken(engine, patch, part, value)
        with pytest.raises(JobFailed) as failure:
            paint(engine, request())
    assert failure.value.code == code
    assert failure.value.params["model"] == "demo"
    assert digests(paint(engine, request())) == expected


def test_another_number_type_is_used_and_recorded(models_dir: Path, tmp_path: Path) -> None:
    import torch

    engine = Engine(models_dir=models_dir, hashes_file=tmp_path / "h.json", dtype="bfloat16")
    painting = paint(engine, request())
    assert painting.recipe.environment["dtype"] == "bfloat16"
    assert resident(engine).denoiser.dtype == torch.bfloat16


def test_a_long_prompt_reaches_no_error_text(engine: Engine) -> None:
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(("nobody", 1.0), prompt="canary", negative="canary"))
    assert "canary" not in str(failure.value)
    assert "canary" not in repr(failure.value)


def test_models_are_told_apart(engine: Engine) -> None:
    demo, other = paint(engine, request()), paint(engine, request(model="other"))
    assert engine.loaded == "other"
    assert digests(demo) != digests(other)
    used = [painting.recipe.checkpoint for painting in (demo, other)]
    assert len({weights.sha256 for weights in used if weights}) == 2
    named = paint(engine, request(model="twin"), catalog([model("twin", "other")]))
    assert digests(named) == digests(other)
    assert engine.loaded == "twin"


def test_each_image_is_handed_out_before_the_next_begins(engine: Engine) -> None:
    news: list[int | PaintedImage] = []
    painting = engine.paint(
        ordered(request(count=2)),
        lambda progress: news.append(progress.image),
        lambda: None,
        news.append,
    )
    handed = [n for n, each in enumerate(news) if isinstance(each, PaintedImage)]
    assert [news[n] for n in handed] == list(painting.images)
    assert 2 not in news[: handed[0]]
    assert 2 in news[handed[0] : handed[1]]
