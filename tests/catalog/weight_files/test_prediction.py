"""What a checkpoint was trained to predict, from everything beside and inside its file."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, PREDICTIONS, VELOCITY
from catalog.weight_files import (
    Header,
    evidence,
    ldm_config,
    prediction,
    read_header,
    scheduler_config,
)
from catalog.weight_files.prediction import SDXL_BETAS, Claim, Training, UnknownTraining

Tensors = dict[str, tuple[str, tuple[int, ...], bytes]]
PLAIN: Tensors = {"model.diffusion_model.out.2.bias": ("F32", (1,), bytes(4))}


def refusal(path: Path, header: Header) -> str | None:
    return reason(lambda: evidence.of_file(path, header))


def folder_refusal(folder: Path) -> str | None:
    return reason(lambda: evidence.of_folder(folder))


def reason(read: Callable[[], Training]) -> str | None:
    try:
        read()
    except UnknownTraining as error:
        return evidence.unclear(error)
    return None


def checkpoint(
    path: Path, tensors: Tensors | None = None, metadata: dict[str, str] | None = None
) -> Path:
    """A file with these tensors (dtype, shape, bytes) and metadata."""
    table: dict[str, Any] = {}
    data = b""
    for name, (dtype, shape, raw) in {**PLAIN, **(tensors or {})}.items():
        table[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    table["__metadata__"] = metadata or {}
    header = json.dumps(table).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)
    return path


def floats(*numbers: float) -> tuple[str, tuple[int, ...], bytes]:
    return "F32", (len(numbers),), struct.pack(f"<{len(numbers)}f", *numbers)


EMPTY = ("F32", (0,), b"")


def training(path: Path, config: Path | None = None) -> Training:
    if config is None:
        return evidence.of_file(path, read_header(path))
    return evidence.collected([(path, read_header(path))], config, single=True).training()


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("modelspec.prediction_type", "v", VELOCITY),
        ("modelspec.prediction_type", "v_prediction", VELOCITY),
        ("modelspec.prediction_type", "V-Prediction", VELOCITY),
        ("modelspec.prediction_type", "epsilon", EPSILON),
        ("modelspec.prediction_type", "eps", EPSILON),
        ("modelspec.prediction_type", "rectified_flow", FLOW),
        ("modelspec.prediction_type", "flow_matching", FLOW),
        ("modelspec.prediction_type", "edm", EDM),
        ("modelspec.predict_key", "v", VELOCITY),
        ("prediction_type", "v_prediction", VELOCITY),
        ("ss_v_parameterization", "True", VELOCITY),
        ("ss_v_parameterization", "False", EPSILON),
        ("ss_v_parameterization", "None", EPSILON),
        ("v_pred", "true", VELOCITY),
    ],
)
def test_metadata_tell(tmp_path: Path, key: str, value: str, expected: str) -> None:
    path = checkpoint(tmp_path / "a.safetensors", metadata={key: value})
    assert training(path).prediction == expected
    assert refusal(path, read_header(path)) is None


@pytest.mark.parametrize("value", ["sample", "x0", "mystery", "img_to_img_flow", "v\x1b[31m"])
@pytest.mark.parametrize("key", ["modelspec.prediction_type", "modelspec.predict_key"])
def test_an_unknown_word_is_refused_by_name(tmp_path: Path, key: str, value: str) -> None:
    path = checkpoint(tmp_path / "a.safetensors", metadata={key: value})
    with pytest.raises(UnknownTraining) as refused:
        training(path)
    reason = refusal(path, read_header(path))
    for said in (str(refused.value), str(reason)):
        assert key in said
        assert value.partition("\x1b")[0] in said
        assert all(known in said for known in PREDICTIONS)
        assert "\x1b" not in said


def test_a_velocity_in_a_flow_is_a_flow(tmp_path: Path) -> None:
    words = {"modelspec.prediction_type": "velocity"}
    assert training(checkpoint(tmp_path / "a.safetensors", metadata=words)).prediction == VELOCITY
    words["modelspec.noise_process"] = "flow"
    assert training(checkpoint(tmp_path / "b.safetensors", metadata=words)).prediction == FLOW


@pytest.mark.parametrize("before", ["", "model.", "model.diffusion_model."])
@pytest.mark.parametrize(
    ("tensors", "expected"),
    [
        ({"v_pred": EMPTY}, Training(VELOCITY, None, SDXL_BETAS)),
        ({"v_pred": EMPTY, "ztsnr": EMPTY}, Training(VELOCITY, True, SDXL_BETAS)),
        ({"ztsnr": EMPTY}, Training(EPSILON, True, SDXL_BETAS)),
    ],
)
def test_marker_tensors_tell(
    tmp_path: Path, tensors: Tensors, expected: Training, before: str
) -> None:
    named = {before + name: tensor for name, tensor in tensors.items()}
    assert training(checkpoint(tmp_path / "a.safetensors", named)) == expected


@pytest.mark.parametrize("extra", [{}, {"v_pred": EMPTY, "ztsnr": EMPTY}])
def test_the_velocity_over_continuous_noise_is_read_with_its_numbers(
    tmp_path: Path, extra: Tensors
) -> None:
    """ComfyUI saves the markers of v-prediction beside them."""
    sigmas: Tensors = {
        "edm_vpred.sigma_max": ("F16", (), struct.pack("<e", 96.0)),
        "edm_vpred.sigma_min": ("BF16", (1,), struct.pack("<f", 0.5)[2:]),
    }
    path = checkpoint(
        tmp_path / "a.safetensors", {**sigmas, **extra}, {"modelspec.predict_key": "v"}
    )
    found = training(path)
    assert (found.prediction, found.zero_snr) == (EDM_VELOCITY, None)
    assert found.schedule == {
        "sigma_min": 0.5,
        "sigma_max": 96.0,
        "sigma_data": 1.0,
        "sigma_schedule": "exponential",
    }


MOMENTS = {"edm_mean": floats(-1.5, 1.75, -1.25, 2.5), "edm_std": floats(8.5, 6, 6.5, 5.25)}


def test_playground_brings_the_moments_of_its_latents(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.safetensors", MOMENTS)
    header = read_header(path)
    found = training(path)
    assert found.prediction == EDM
    assert (found.schedule["sigma_max"], found.schedule["sigma_data"]) == (80.0, 0.5)
    moments = prediction.moments_of(header.shapes, prediction.numbers_of(path, header))
    assert moments == prediction.Moments((-1.5, 1.75, -1.25, 2.5), (8.5, 6.0, 6.5, 5.25))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({"edm_mean": MOMENTS["edm_mean"]}, "lacks the tensor edm_std"),
        ({"edm_std": MOMENTS["edm_std"]}, "lacks the tensor edm_mean"),
        ({"edm_vpred.sigma_max": floats(float("nan"))}, "edm_vpred.sigma_max is not one positive"),
        ({"edm_vpred.sigma_max": floats(1, 2)}, "edm_vpred.sigma_max is not one positive"),
        (
            {"edm_vpred.sigma_max": floats(1), "edm_vpred.sigma_min": floats(2)},
            "sigma_min is not below",
        ),
        ({**MOMENTS, "v_pred": EMPTY}, "v_pred says v_prediction but its tensor edm_mean says edm"),
        ({**MOMENTS, "edm_vpred.sigma_max": floats(120)}, "but its tensor edm_mean says edm"),
    ],
)
def test_broken_or_contradictory_markers_are_refused(
    tmp_path: Path, tensors: Tensors, said: str
) -> None:
    path = checkpoint(tmp_path / "a.safetensors", tensors)
    assert said in str(refusal(path, read_header(path)))
    found = evidence.collected([(path, read_header(path))], None, single=True)
    for owner in PREDICTIONS:
        assert found.training(owner).prediction == owner


@pytest.mark.parametrize(
    ("mean", "deviation"),
    [
        (floats(1, 2), floats(1, 2)),
        (floats(1, 2, 3, 4), floats(1, 2, 3)),
        (floats(1, 2, 3, 4), floats(1, 2, 3, 0)),
        (floats(1, 2, 3, float("inf")), floats(1, 1, 1, 1)),
        (("I32", (4,), bytes(16)), floats(1, 1, 1, 1)),
    ],
)
def test_moments_that_cannot_be_are_refused(tmp_path: Path, mean: Any, deviation: Any) -> None:
    path = checkpoint(tmp_path / "a.safetensors", {"edm_mean": mean, "edm_std": deviation})
    header = read_header(path)
    with pytest.raises(UnknownTraining, match="edm_std"):
        prediction.moments_of(header.shapes, prediction.numbers_of(path, header))


def test_what_programs_write_unasked_gives_way(tmp_path: Path) -> None:
    """Mergers write epsilon wherever they were not told otherwise; no one writes v by accident."""
    stale = {"modelspec.prediction_type": "epsilon"}
    marked = checkpoint(tmp_path / "a.safetensors", {"v_pred": EMPTY}, metadata=stale)
    assert training(marked).prediction == VELOCITY
    beside = checkpoint(tmp_path / "b.safetensors", metadata=stale)
    beside.with_suffix(".yaml").write_text("model: {params: {parameterization: v}}")
    assert training(beside).prediction == VELOCITY


def test_two_that_are_sure_of_different_things_are_refused(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.safetensors", metadata={"modelspec.prediction_type": "flow"})
    path.with_suffix(".yaml").write_text("model: {params: {parameterization: v}}")
    reason = refusal(path, read_header(path))
    assert "modelspec.prediction_type says flow but a.yaml says v_prediction" in str(reason)


def test_swarmui_keeps_metadata_beside_the_file(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "model.v1.safetensors")
    beside = path.with_suffix(".swarm.json")
    beside.write_text(json.dumps({"modelspec.prediction_type": "v", "modelspec.tags": ["a"]}))
    assert training(path).prediction == VELOCITY
    for text, said in (
        (json.dumps({"modelspec.prediction_type": "odd"}), "swarm.json modelspec.prediction_type"),
        ("[", "model.v1.swarm.json is not JSON"),
    ):
        beside.write_text(text)
        assert said in str(refusal(path, read_header(path)))


SGM = """
model:
  target: sgm.models.diffusion.DiffusionEngine
  params:
    scale_factor: 0.13025
    denoiser_config:
      target: sgm.modules.diffusionmodules.denoiser.{denoiser}
      params:
        num_idx: 1000
        scaling_config:
          target: sgm.modules.diffusionmodules.denoiser_scaling.{scaling}
          params: {options}
        discretization_config:
          target: sgm.modules.diffusionmodules.discretizer.{discretization}
"""


def sgm(scaling: str, discretization: str = "LegacyDDPMDiscretization", options: str = "{}") -> str:
    return SGM.format(
        denoiser="DiscreteDenoiser",
        scaling=scaling,
        discretization=discretization,
        options=options,
    )


@pytest.mark.parametrize(
    ("text", "expected", "zero_snr"),
    [
        ("model: {params: {parameterization: v}}", VELOCITY, None),
        ("model:\n  params:\n    parameterization: 'v'\n    use_ztsnr: True", VELOCITY, True),
        ("model: {params: {parameterization: v, zero_snr: true}}", VELOCITY, True),
        ("model: {params: {parameterization: v, zero_snr: false}}", VELOCITY, False),
        ("model: {params: {parameterization: eps}}", EPSILON, None),
        ("prediction_type: v_prediction\nzero_terminal_snr: yes", VELOCITY, True),
        ("prediction_type: flow", FLOW, None),
        ("model: {params: {linear_start: 0.00085, linear_end: 0.0120}}", EPSILON, None),
        (sgm("EpsScaling"), EPSILON, None),
        (sgm("VScaling"), VELOCITY, None),
        (sgm("VScaling", "ZeroSNRDDPMDiscretization"), VELOCITY, True),
        (sgm("EDMScaling", "EDMDiscretization", "{sigma_data: 0.5}"), EDM, None),
        (sgm("VScalingWithEDMcNoise", "EDMDiscretization"), EDM_VELOCITY, None),
    ],
)
@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_the_configuration_beside_the_file_tells(
    tmp_path: Path, text: str, expected: str, zero_snr: bool | None, suffix: str
) -> None:
    path = checkpoint(tmp_path / "model.v1.safetensors")
    path.with_suffix(suffix).write_text(text)
    found = training(path)
    assert (found.prediction, found.zero_snr) == (expected, zero_snr)


def test_its_betas_are_linear_in_their_roots(tmp_path: Path) -> None:
    path = checkpoint(tmp_path / "a.safetensors")
    path.with_suffix(".yaml").write_text(
        "model: {params: {linear_start: 0.001, linear_end: 0.02, timesteps: 500}}"
    )
    schedule = training(path).schedule
    assert schedule == {
        "beta_start": 0.001,
        "beta_end": 0.02,
        "beta_schedule": "scaled_linear",
        "num_train_timesteps": 500,
        "trained_betas": None,
    }


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"model: {params: {parameterization: x0}}", "a.yaml: parameterization is 'x0'"),
        (b"model: {params: {parameterization: [v]", "a.yaml is not YAML"),
        (b"\xff\xfe\x00\xd8", "a.yaml is not YAML"),
        (b"- " * 8_000, "a.yaml is not YAML"),
        (b"a: " + b"x" * 70_000, "a.yaml is larger than 16384 bytes"),
        (b"a: " + b"[" * 201, "a.yaml has more than 200 lists and mappings in brackets"),
        (b"model: {params: {zero_snr: perhaps}}", "a.yaml: zero_snr is 'perhaps'"),
        (b"model: {params: {linear_start: .nan}}", "a.yaml: linear_start is '.nan'"),
        (b"model: {params: {linear_start: 0.1}}", "a.yaml has betas of its own, but no beta_end"),
        (sgm("RFScaling").encode(), "a.yaml: scaling_config is 'RFScaling'; known are EpsScaling"),
        (sgm("VScaling", "Cosine").encode(), "a.yaml: discretization_config is 'Cosine'"),
    ],
)
def test_a_configuration_that_is_not_understood_is_refused_by_name(
    tmp_path: Path, raw: bytes, said: str
) -> None:
    path = checkpoint(tmp_path / "a.safetensors")
    path.with_suffix(".yaml").write_bytes(raw)
    assert said in str(refusal(path, read_header(path)))


def test_a_configuration_runs_nothing_and_multiplies_nothing(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    told = ldm_config.of_text(
        f"model: !!python/object/apply:os.mkdir [{ran}]\nprediction_type: v".encode(), "a.yaml"
    )
    assert told == Claim("a.yaml", VELOCITY)
    assert not ran.exists()
    merges = "a0: &a0 {x: 1}\n" + "".join(
        f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 40)
    )
    assert ldm_config.of_text(merges.encode(), "a.yaml") is None


@pytest.mark.parametrize("text", ["", "- a\n- b", "epochs: 3\nlr: 1e-4", "model: sdxl.safetensors"])
def test_a_file_about_something_else_says_nothing(text: str) -> None:
    assert ldm_config.of_text(text.encode(), "a.yaml") is None


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
