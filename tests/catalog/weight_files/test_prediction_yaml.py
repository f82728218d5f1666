"""What a checkpoint was trained to predict, from the configuration of its training beside it."""

from pathlib import Path

import pytest

from catalog.predictions import EDM, EDM_VELOCITY, EPSILON, FLOW, VELOCITY
from catalog.weight_files import ldm_config, read_header
from catalog.weight_files.prediction import Claim
from tests.catalog.weight_files.training import checkpoint, refusal, training

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
