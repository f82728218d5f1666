"""Adapter files: which parts of them fit, and what is reported."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from bot.errors import JobFailed
from catalog.weight_files import adapter_facts, read_header
from tests.engine.factories import kohya, save
from tests.engine.patches import make
from tests.engine.patches.reading import BIASLESS, NAME, SHAPE, read, refused
from tests.parameters import examples


@pytest.mark.parametrize("family", make.fitting((8, 8, 3, 3)))
def test_a_file_of_each_family_fits_the_demo_model(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    """Linears of the three parts and a convolution, each with other shapes for the Tucker forms."""
    modules = make.demo_modules()
    if "Tucker" in family:
        modules = {name: shape for name, shape in modules.items() if len(shape) > 2}
    file = read(make.file(tmp_path / "x.safetensors", family, modules), known)
    biasless = {name for name in modules if not known[name].has_bias} if "bias" in family else set()
    assert file.total == len(modules)
    assert {name for name, _ in file.skipped} == biasless
    assert {reason for _, reason in file.skipped} <= {"no_bias"}
    assert file.matched == file.total - len(biasless)
    weights = {
        (change.part, change.parameter): change
        for change in file.changes
        if change.parameter.endswith("weight")
    }
    assert len(weights) == len(modules)
    for name in modules:
        base = torch.randn(known[name].shape)
        delta = weights[known[name].part, f"{known[name].path}.weight"].delta(base)
        assert delta.shape == base.shape
        assert delta.isfinite().all()
        assert delta.abs().max() > 0.01
    assert sum(change.nbytes for change in file.changes) <= file.nbytes


def test_the_report_names_what_was_skipped(known: dict[str, Any], tmp_path: Path) -> None:
    strange = "lora_unet_down_blocks_7_attentions_0_proj_in"
    tensors = {**kohya(NAME, SHAPE), **kohya(strange, SHAPE)}
    tensors[f"{BIASLESS}.diff_b"] = torch.ones(64)
    norm = next(iter(make.demo_norms()))
    tensors |= {f"{norm}.w_norm": torch.ones(32), f"{norm}.b_norm": torch.ones(32)}
    file = read(save(tmp_path / "x.safetensors", tensors), known)
    assert (file.total, file.matched) == (3, 1)
    assert dict(file.skipped) == {strange: "no_such_module", BIASLESS: "no_bias"}
    path = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    assert sorted((change.part, change.parameter) for change in file.changes) == [
        ("unet", f"{path}.weight"),
        ("unet", f"{make.NORM}.bias"),
        ("unet", f"{make.NORM}.weight"),
    ]


def test_a_file_of_nothing_but_biases_that_are_not_there_fits_nothing(
    known: dict[str, Any], tmp_path: Path
) -> None:
    path = save(tmp_path / "x.safetensors", {f"{BIASLESS}.diff_b": torch.ones(64)})
    assert refused(path, known).code == "adapter.matches_nothing"


@pytest.mark.parametrize(
    ("family", "said"),
    [("LoRA", "LoRA"), ("LoKr", "LoKr"), ("DoRA", "DoRA"), ("LoHa, DoRA", "DoRA + LoHa")],
)
def test_what_is_applied_is_named_as_in_the_catalog(
    known: dict[str, Any], tmp_path: Path, family: str, said: str
) -> None:
    path = make.file(tmp_path / "x.safetensors", family, {NAME: SHAPE})
    assert read(path, known).matched == 1
    header = read_header(path)
    assert adapter_facts(header.shapes, header.metadata).algorithm == said


def test_alphas_beside_the_tensors_count(known: dict[str, Any], tmp_path: Path) -> None:
    """diffusers ≥ 0.35 keeps them in the metadata: per part, per end of a path, for rsLoRA."""
    module = "unet.down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    down, up = torch.randn(4, 64), torch.randn(64, 4)
    tensors = {f"{module}.lora_A.weight": down, f"{module}.lora_B.weight": up}
    cases: list[tuple[dict[str, Any], float]] = [
        ({}, 1.0),
        ({"unet.lora_alpha": 2}, 0.5),
        ({"unet.lora_alpha": 2, "text_encoder.lora_alpha": 7}, 0.5),
        ({"text_encoder.lora_alpha": 7}, 1.0),
        ({"unet.lora_alpha": 2, "unet.alpha_pattern": {"attn1.to_q": 12}}, 3.0),
        ({"unet.lora_alpha": 2, "unet.alpha_pattern": {"n1.to_q": 12}}, 0.5),
        ({"unet.lora_alpha": 2, "unet.use_rslora": True}, 1.0),
        ({"unet.alpha_pattern": {"to_q": 4, "attn1.to_q": 12}}, 1.0),
        ({"unet.alpha_pattern": {"attn1.to_q": 12, "to_q": 4}}, 3.0),
        ({"lora_alpha": 6}, 1.5),
    ]
    for number, (config, scale) in enumerate(cases):
        metadata = {"lora_adapter_metadata": json.dumps(config)}
        file = read(save(tmp_path / f"{number}.safetensors", tensors, metadata), known)
        delta = file.changes[0].delta(torch.zeros(64, 64))
        torch.testing.assert_close(delta, scale * up @ down)


TARGETS = [(16, 8), (8, 16), (16, 16), (16, 8, 3, 3), (16, 8, 1, 1), (16,)]
DISTORTIONS: dict[str, Any] = {
    "flattened": lambda t: t.reshape(len(t), math.prod(t.shape[1:])) if t.ndim else t,
    "with a 1×1": lambda t: t.reshape(*t.shape, 1, 1),
    "transposed": lambda t: t.transpose(0, 1) if t.ndim > 1 else t,
    "a row": lambda t: t.reshape(1, -1),
    "one less": lambda t: t[1:] if t.ndim else t,
    "three axes": lambda t: t.reshape(1, 1, -1),
    "flat": lambda t: t.reshape(-1),
}


@pytest.mark.long
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=examples(300),
    deadline=None,
)
@given(st.data())
def test_what_is_accepted_changes_a_parameter_of_its_shape(tmp_path: Path, data: Any) -> None:
    """Distorted files of every algorithm, for a weight of this or another shape: fit or refused."""
    from bot.engine.patches import Target

    made_for, target = data.draw(st.sampled_from(TARGETS)), data.draw(st.sampled_from(TARGETS))
    if data.draw(st.booleans()):
        target = made_for
    family = data.draw(st.sampled_from(sorted(make.fitting(made_for))))
    tensors = make.module(family, made_for, rank=data.draw(st.sampled_from((1, 2, 8, 16))))
    for part in data.draw(st.lists(st.sampled_from(sorted(tensors)), max_size=2)):
        distort = DISTORTIONS[data.draw(st.sampled_from(sorted(DISTORTIONS)))]
        tensors[part] = distort(tensors[part])
    known = {"m": Target("unet", "p", target, has_bias=data.draw(st.booleans()))}
    named = {f"m.{part}": tensor for part, tensor in tensors.items()}
    try:
        file = read(save(tmp_path / "x.safetensors", named), known)
    except JobFailed as failure:
        event(failure.code)
        return
    event("accepted")
    for change in file.changes:
        base = torch.randn(target if change.parameter == "p.weight" else target[:1])
        delta = change.delta(base)
        assert delta.shape == base.shape
        assert delta.isfinite().all()
