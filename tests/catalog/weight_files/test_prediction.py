"""What a checkpoint was trained to predict, from its metadata and its tensors."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, PREDICTIONS, VELOCITY
from catalog.weight_files import evidence, prediction, read_header
from catalog.weight_files.prediction import SDXL_BETAS, Training, UnknownTraining
from tests.catalog.weight_files.training import EMPTY, Tensors, checkpoint, refusal, training


def floats(*numbers: float) -> tuple[str, tuple[int, ...], bytes]:
    return "F32", (len(numbers),), struct.pack(f"<{len(numbers)}f", *numbers)


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
