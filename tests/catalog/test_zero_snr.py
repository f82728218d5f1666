"""Models with zero terminal SNR, whose first step is pure noise: defaults, and who says so."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from catalog import ModelEntry
from catalog.schedulers import FITTING, FROM_NOISE
from catalog.schema import explain
from tests.catalog.home import ONE_MODEL, SDXL, Home, checkpoint_bytes

KARRAS = "DPM++ 2M Karras"
NOISE = {**SDXL, "v_pred": [0], "ztsnr": [0]}
"""The tensors of such a model that predicts the velocity, with those that mark it."""


def entry(**fields: Any) -> ModelEntry:
    return ModelEntry(**{"key": "a", "name": "A", "path": "a", **fields})


@pytest.mark.parametrize("family", ["sdxl", "sd15"])
@pytest.mark.parametrize("prediction", [None, "epsilon", "v_prediction"])
def test_defaults_are_what_authors_of_such_models_recommend(family: str, prediction: Any) -> None:
    model = entry(family=family, prediction=prediction, zero_terminal_snr=True)
    assert (model.scheduler, model.guidance.default) == ("Euler", 5.0)
    assert (model.guidance.min, model.guidance.max) == (1.0, 30.0)
    assert model.schedulers == FROM_NOISE[prediction or "epsilon"]
    assert not any("Karras" in name for name in model.schedulers)
    assert model.draft is not None
    assert model.draft.schedulers == ("Euler", "DPM++ 2M", "DPM++ 2M SDE")
    usual = entry(family=family, prediction=prediction, zero_terminal_snr=False)
    assert (usual.scheduler, usual.guidance) == (KARRAS, usual.sampled_as.guidance)
    assert usual.draft == usual.sampled_as.draft


def test_what_the_entry_says_counts() -> None:
    guidance = {"min": 1.0, "default": 4.0, "max": 9.0}
    model = entry(zero_terminal_snr=True, scheduler="UniPC", guidance=guidance)
    assert (model.scheduler, model.guidance.default) == ("UniPC", 4.0)
    with pytest.raises(ValidationError) as refused:
        entry(zero_terminal_snr=True, scheduler=KARRAS)
    said = explain(refused.value)
    assert said.startswith("scheduler must be one of Euler, Euler a, ")
    assert said.endswith(f"for a model with zero terminal SNR, got '{KARRAS}'")


@pytest.mark.parametrize("prediction", FITTING)
def test_it_is_nothing_to_a_model_without_discrete_steps(prediction: Any) -> None:
    model = entry(prediction=prediction, zero_terminal_snr=True)
    assert not model.from_noise
    assert (model.schedulers, model.guidance.default) == (FITTING[prediction], 7.5)


def test_the_files_say_it(home: Home) -> None:
    for name, shapes in (("noise", NOISE), ("velocity", {**SDXL, "v_pred": [0]})):
        home.put(home.models_dir / f"far/{name}.safetensors", checkpoint_bytes(shapes))
        home.put(home.models_dir / f"checkpoints/{name}.safetensors", checkpoint_bytes(shapes))
    for name, config in (
        ("model_index", {"_class_name": "StableDiffusionXLPipeline"}),
        ("unet/config", {"addition_embed_type": "text_time", "cross_attention_dim": 2048}),
        (
            "scheduler/scheduler_config",
            {
                "_class_name": "EulerDiscreteScheduler",
                "prediction_type": "v_prediction",
                "rescale_betas_zero_snr": True,
            },
        ),
    ):
        home.put(home.models_dir / f"folder/{name}.json", json.dumps(config).encode())
    home.write(
        'default = "far"\n'
        '[models.far]\nname = "Far"\npath = "far/noise.safetensors"\n'
        '[models.off]\nname = "Off"\npath = "far/noise.safetensors"\nzero_terminal_snr = false\n'
        '[models.on]\nname = "On"\npath = "far/velocity.safetensors"\nzero_terminal_snr = true\n'
        '[models.folder]\nname = "Folder"\npath = "folder"\nscheduler = "UniPC"\n'
    )
    read = home.read()
    assert not read.problems
    assert {
        key: (model.prediction, model.scheduler, model.guidance.default, model.from_noise)
        for key, model in read.models.items()
    } == {
        "far": ("v_prediction", "Euler", 5.0, True),
        "off": (None, KARRAS, 7.5, False),
        "on": ("v_prediction", "Euler", 5.0, True),
        "folder": ("v_prediction", "UniPC", 5.0, True),
        "noise": ("v_prediction", "Euler", 5.0, True),
        "velocity": (None, KARRAS, 7.5, False),
    }
    assert read.models["noise"].schedulers == FROM_NOISE["v_prediction"]


def test_an_entry_whose_sampler_does_not_fit_its_files_is_left_out_by_name(home: Home) -> None:
    home.put(home.models_dir / "far/noise.safetensors", checkpoint_bytes(NOISE))
    noise = '[models.noise]\nname = "Noise"\npath = "far/noise.safetensors"\n'
    home.write(f'{ONE_MODEL}{noise}scheduler = "{KARRAS}"\n')
    read = home.read()
    assert list(read.models) == ["base"]
    said = str(read.problems[0])
    assert "noise: its files say that it was trained with zero terminal SNR, but scheduler" in said
    assert f"got '{KARRAS}'" in said
