"""What a checkpoint was trained to predict, from the configuration of its scheduler."""

import json
from pathlib import Path
from typing import Any

import pytest

from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, VELOCITY
from catalog.weight_files import evidence, prediction, scheduler_config
from catalog.weight_files.prediction import SDXL_BETAS, Training, UnknownTraining
from tests.catalog.weight_files.training import EMPTY, checkpoint, reason, training


def folder_refusal(folder: Path) -> str | None:
    return reason(lambda: evidence.of_folder(folder))


STEPS = {
    "_class_name": "EulerDiscreteScheduler",
    **SDXL_BETAS,
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (STEPS, Training(EPSILON)),
        ({**STEPS, "_class_name": "DDPMScheduler"}, Training(EPSILON)),
        ({**STEPS, "_class_name": "LCMScheduler"}, Training(EPSILON)),
        ({**STEPS, "prediction_type": "v_prediction"}, Training(VELOCITY)),
        ({**STEPS, "rescale_betas_zero_snr": True}, Training(EPSILON, True)),
        (
            {**STEPS, "prediction_type": "v_prediction", "timestep_type": "continuous"},
            Training(EDM_VELOCITY),
        ),
        ({"_class_name": "EDMEulerScheduler"}, Training(EDM)),
        ({"_class_name": "EDMDPMSolverMultistepScheduler"}, Training(EDM)),
        (
            {"_class_name": "EDMEulerScheduler", "prediction_type": "v_prediction"},
            Training(EDM_VELOCITY),
        ),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler"}, Training(FLOW)),
        ({"_class_name": "FlowMatchHeunDiscreteScheduler"}, Training(FLOW)),
        ({"_class_name": "UniPCMultistepScheduler", "use_flow_sigmas": True}, Training(FLOW)),
        (
            {"_class_name": "DPMSolverMultistepScheduler", "prediction_type": "flow_prediction"},
            Training(FLOW),
        ),
    ],
)
def test_the_class_of_a_scheduler_tells_the_kind_of_noise(
    config: dict[str, Any], expected: Training
) -> None:
    claim = scheduler_config.of_config(config, own=True)
    assert (claim.prediction, bool(claim.zero_snr)) == (
        expected.prediction,
        bool(expected.zero_snr),
    )


def test_a_flows_shift_is_kept_and_an_entrys_overrides_it() -> None:
    config = {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 3.0}
    claims = [scheduler_config.of_config(config, own=True)]
    assert prediction.resolved(claims).schedule["shift"] == 3.0
    assert prediction.resolved(claims, shift=6.0).schedule["shift"] == 6.0
    assert prediction.resolved([], FLOW).schedule["shift"] == 1.0


@pytest.mark.parametrize(
    ("lacking", "others"),
    [
        (("beta_start", "beta_end", "beta_schedule"), {}),
        (("beta_schedule",), {}),
        (("beta_start", "beta_end"), {}),
    ],
)
def test_missing_betas_are_sdxls_and_not_diffusers(
    lacking: tuple[str, ...], others: dict[str, Any]
) -> None:
    config = {key: value for key, value in STEPS.items() if key not in lacking}
    schedule = scheduler_config.of_config(config, own=True).schedule
    assert {key: schedule[key] for key in SDXL_BETAS} == SDXL_BETAS


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**STEPS, "_class_name": "ScoreSdeVeScheduler"}, "_class_name is ScoreSdeVeScheduler"),
        ({**STEPS, "_class_name": ["Euler"]}, "_class_name is ['Euler']"),
        ({"sigma_data": 0.5}, "_class_name is missing"),
        ({**STEPS, "prediction_type": "sample"}, "prediction_type is sample; known are epsilon"),
        ({**STEPS, "prediction_type": ["v"]}, "prediction_type is ['v']"),
        ({**STEPS, "beta_schedule": "sigmoid"}, "beta_schedule is sigmoid"),
        ({**STEPS, "beta_start": "0.1"}, "beta_start is 0.1; known are a positive number"),
        ({**STEPS, "beta_end": True}, "beta_end is True"),
        ({**STEPS, "num_train_timesteps": 10**9}, "num_train_timesteps is 1000000000"),
        ({**STEPS, "timestep_spacing": "odd"}, "timestep_spacing is odd"),
        ({**STEPS, "rescale_betas_zero_snr": "yes"}, "rescale_betas_zero_snr is yes"),
        ({**STEPS, "trained_betas": [0.1]}, "trained_betas must be 1000 numbers"),
        ({**STEPS, "timestep_type": "continuous"}, "timestep_type is continuous"),
        ({"_class_name": "DDIMScheduler", "beta_start": 0.1}, "betas of its own, but no beta_end"),
        (
            {"_class_name": "EDMEulerScheduler", "prediction_type": "sample"},
            "prediction_type is sample",
        ),
        ({"_class_name": "EDMEulerScheduler", "sigma_min": 99}, "sigma_min is 99; known are less"),
        ({"_class_name": "EDMEulerScheduler", "sigma_schedule": "x"}, "sigma_schedule is x"),
        (
            {"_class_name": "FlowMatchEulerDiscreteScheduler", "use_dynamic_shifting": True},
            "use_dynamic_shifting is True",
        ),
        ({"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": -1}, "shift is -1"),
    ],
)
def test_a_scheduler_that_is_not_understood_is_refused_by_name(
    tmp_path: Path, config: dict[str, Any], said: str
) -> None:
    folder(tmp_path, config)
    assert said in str(folder_refusal(tmp_path))


def folder(path: Path, config: dict[str, Any] | list[int], listed: str | None = None) -> Path:
    (path / "scheduler").mkdir(exist_ok=True)
    (path / "scheduler/scheduler_config.json").write_text(json.dumps(config))
    index = {"scheduler": ["diffusers", listed]} if listed else {}
    (path / "model_index.json").write_text(json.dumps(index))
    return path


def test_the_index_names_the_class_where_the_scheduler_does_not(tmp_path: Path) -> None:
    folder(tmp_path, {"shift": 3.0}, "FlowMatchEulerDiscreteScheduler")
    claim = scheduler_config.of_folder(tmp_path, own=True)
    assert (claim.prediction, claim.schedule["shift"]) == (FLOW, 3.0)


def test_a_list_or_a_giant_is_no_configuration(tmp_path: Path) -> None:
    assert "not a JSON object" in str(folder_refusal(folder(tmp_path, [1])))
    (tmp_path / "scheduler/scheduler_config.json").write_text("[" * 2_000_000)
    assert "is larger than" in str(folder_refusal(tmp_path))


def test_the_configuration_that_completes_a_file_gives_way_only_where_it_says_epsilon(
    tmp_path: Path,
) -> None:
    path = checkpoint(tmp_path / "a.safetensors", {"v_pred": EMPTY})
    assert training(path, folder(tmp_path, STEPS)).prediction == VELOCITY
    plain = checkpoint(tmp_path / "b.safetensors")
    flow = folder(tmp_path, {"_class_name": "FlowMatchEulerDiscreteScheduler", "shift": 2.0})
    assert training(plain, flow).prediction == FLOW
    with pytest.raises(UnknownTraining, match=r"scheduler_config\.json says flow but"):
        training(path, flow)
