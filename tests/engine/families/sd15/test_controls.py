"""ControlNets of SD 1.5: as in diffusers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionControlNetPipeline

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import ControlUse
from tests.engine.controls import tiny
from tests.engine.factories import digests, opened, paint, picture
from tests.engine.families.sd15.factories import catalog, request


def use() -> ControlUse:
    return ControlUse("x", picture((64, 64), seed=8), "tile", 0.8)


def painted(engine: Engine, path: Path) -> Any:
    offered = catalog(controlnets=tiny.offered({"x": path}))
    return paint(engine, request(controls=(use(),)), offered).images[0]


def test_it_controls_as_diffusers_does(engine: Engine, plain: Any, tmp_path: Path) -> None:
    made = tiny.network(plain.unet, "controlnet")
    folder = tiny.write(tmp_path / "folder", made)
    parts = {name: part for name, part in plain.components.items() if name != "image_encoder"}
    pipeline = StableDiffusionControlNetPipeline(
        **parts, controlnet=made, requires_safety_checker=False
    )
    pipeline.scheduler = EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        "a fox in the snow",
        image=opened(use().sha256),
        controlnet_conditioning_scale=0.8,
        num_inference_steps=2,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    found = painted(engine, folder)
    assert found.image.tobytes() == expected.tobytes()
    bare = tiny.without_config(folder, tmp_path / "bare.safetensors")
    original = tiny.write_original(tmp_path / "original.safetensors", made)
    for path in (bare, original):
        assert painted(engine, path).pixels_sha256 == found.pixels_sha256


def test_a_t2i_adapter_acts_and_one_of_sdxl_does_not(
    engine: Engine, plain: Any, tmp_path: Path
) -> None:
    made = tiny.network(plain.unet, "t2i_adapter")
    folder = tiny.write(tmp_path / "own", made)
    assert [painted(engine, folder).pixels_sha256] != digests(paint(engine, request(), catalog()))
    config = {**made.config, "downscale_factor": 16, "adapter_type": "full_adapter_xl"}
    foreign = tiny.write(tmp_path / "foreign", type(made).from_config(config))
    with pytest.raises(JobFailed) as failed:
        painted(engine, foreign)
    assert failed.value.code == "control.foreign"


def test_one_that_reads_wider_prompts_is_of_another_model(
    engine: Engine, plain: Any, tmp_path: Path
) -> None:
    width = plain.unet.config.cross_attention_dim + 8
    made = tiny.network(plain.unet, "controlnet", cross_attention_dim=width)
    file = tiny.without_config(tiny.write(tmp_path / "wide", made), tmp_path / "x.safetensors")
    with pytest.raises(JobFailed) as failed:
        painted(engine, file)
    assert failed.value.code == "control.foreign"
