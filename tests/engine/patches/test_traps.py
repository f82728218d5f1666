"""What diffusers does with files that users have, and what our engine does."""

import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.errors import JobFailed
from tests.engine.factories import SHAPES, TEXT_WIDTHS, TINY, kohya, save, text_shapes
from tests.engine.patches import make
from tests.engine.patches.reading import BASES

PARTS = ("unet", "text_encoder", "text_encoder_2")


@pytest.fixture(scope="module")
def pipeline(models_dir: Path) -> Any:
    from diffusers import StableDiffusionXLPipeline

    return StableDiffusionXLPipeline.from_pretrained(models_dir / TINY, local_files_only=True)


@pytest.fixture(scope="module")
def known(pipeline: Any) -> dict[str, Any]:
    from bot.engine.families import FAMILIES

    return dict(FAMILIES["sdxl"].targets({p: getattr(pipeline, p) for p in PARTS}))


@pytest.fixture
def plain(pipeline: Any) -> Iterator[Any]:
    """diffusers, without adapters after the test, however it ends."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    yield pipeline
    for part in PARTS:
        model = getattr(pipeline, part)
        layers = [(p, m) for p, m in model.named_modules() if isinstance(m, BaseTunerLayer)]
        for path, layer in layers:
            model.set_submodule(path, layer.get_base_layer())
        if hasattr(model, "peft_config"):
            del model.peft_config
            model._hf_peft_config_loaded = False


def read(path: Path, known: dict[str, Any]) -> Any:
    from bot.engine.patches import Spellings, read
    from bot.engine.subject import Subject

    subject = Subject("adapter", "tested", lambda _: None, lambda: None)
    return read(path, Spellings(known), BASES, subject)


def load(pipeline: Any, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline.load_lora_weights(path.parent, weight_name=path.name, adapter_name="x")


@pytest.mark.parametrize(
    "algorithm",
    ["LoHa", "LoKr", "GLoRA", "full", "Diag-OFT", "BOFT", "LoRA, Tucker", "(IA)³, input"],
)
def test_families_that_diffusers_refuses(
    plain: Any, known: dict[str, Any], tmp_path: Path, algorithm: str
) -> None:
    convolution = "down_blocks.2.resnets.0.conv1"
    modules = {f"lora_unet_{convolution.replace('.', '_')}": SHAPES[convolution]}
    path = make.file(tmp_path / "x.safetensors", algorithm, modules)
    with pytest.raises((ValueError, KeyError)):
        load(plain, path)
    assert read(path, known).matched == 1


def test_diffusers_drops_the_scale_of_a_dora(
    plain: Any, known: dict[str, Any], tmp_path: Path
) -> None:
    module = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    name = f"lora_unet_{module.replace('.', '_')}"
    path = make.file(tmp_path / "x.safetensors", "DoRA", {name: SHAPES[module]})
    load(plain, path)
    layer = plain.unet.get_submodule(module)
    assert not any(layer.use_dora.values())
    base = layer.get_base_layer().weight.detach()
    ours = read(path, known).changes[0].delta(base)
    theirs = layer.get_delta_weight("x")
    assert (ours - theirs).norm() > 0.1 * ours.norm()  # the error is as large as the effect
    tensors = make.module("DoRA", SHAPES[module])
    rows = (base + ours).norm(dim=1, keepdim=True)
    torch.testing.assert_close(rows, tensors["dora_scale"])


def test_diffusers_takes_a_file_that_matches_nothing(
    plain: Any, known: dict[str, Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tensors = {
        "other.layer.lora_A.weight": torch.zeros(4, 8),
        "other.layer.lora_B.weight": torch.zeros(8, 4),
    }
    path = save(tmp_path / "x.safetensors", tensors)
    with caplog.at_level(logging.ERROR):
        load(plain, path)  # raises nothing
    with pytest.raises(JobFailed) as failure:
        read(path, known)
    assert failure.value.code == "adapter.matches_nothing"


def test_a_text_encoder_of_which_only_some_layers_are_changed(
    plain: Any, known: dict[str, Any], tmp_path: Path
) -> None:
    """diffusers recognises the format by layers that need not be in the file."""
    name = "lora_te1_text_model_encoder_layers_1_self_attn_q_proj"
    query = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
    tensors = {**kohya(name, (32, 32)), **kohya(query, (64, 64))}
    path = save(tmp_path / "x.safetensors", tensors)
    with pytest.raises(ValueError, match="Could not automatically infer state dict type"):
        load(plain, path)
    file = read(path, known)
    assert (file.total, file.matched) == (2, 2)
    assert {change.part for change in file.changes} == {"unet", "text_encoder"}


@pytest.mark.parametrize("spelled", ["text_model.", ""])
def test_text_encoders_with_and_without_the_prefix(
    pipeline: Any, known: dict[str, Any], tmp_path: Path, spelled: str
) -> None:
    """transformers 5: only one of the two encoders has `text_model.` in its paths."""
    prefixed = {
        part: any(
            path.startswith("text_model.") for path, _ in getattr(pipeline, part).named_modules()
        )
        for part in PARTS[1:]
    }
    assert sorted(prefixed.values()) == [False, True]
    modules: dict[str, make.Shape] = {}
    for encoder, width in TEXT_WIDTHS.items():
        for path, shape in text_shapes(width).items():
            bare = path.replace("text_model.", spelled).replace(".", "_")
            modules[f"lora_{encoder}_{bare}"] = shape
    file = read(make.file(tmp_path / "x.safetensors", "LoKr", modules), known)
    assert file.matched == file.total == len(modules)
    for change in file.changes:
        getattr(pipeline, change.part).get_parameter(change.parameter)


def test_alphas_of_diffusers_own_files_are_in_its_metadata(
    plain: Any, known: dict[str, Any], tmp_path: Path
) -> None:
    module = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
    tensors = make.module("LoRA", SHAPES[module], alpha=None)
    renamed = {
        f"unet.{module}.lora_A.weight": tensors["lora_down.weight"],
        f"unet.{module}.lora_B.weight": tensors["lora_up.weight"],
    }
    config = {"unet.r": 4, "unet.lora_alpha": 2, "unet.target_modules": [module]}
    metadata = {"lora_adapter_metadata": json.dumps(config)}
    path = save(tmp_path / "x.safetensors", renamed, metadata)
    load(plain, path)
    layer = plain.unet.get_submodule(module)
    ours = read(path, known).changes[0].delta(layer.get_base_layer().weight.detach())
    torch.testing.assert_close(ours, layer.get_delta_weight("x").detach())


@pytest.mark.parametrize("part", PARTS)
def test_what_diffusers_trains_and_saves(
    plain: Any, known: dict[str, Any], tmp_path: Path, part: str
) -> None:
    """Its configuration of a network, in the names of the transformers that is installed."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    ends = ("to_q", "to_k", "conv1") if part == "unet" else ("q_proj", "k_proj")
    config = LoraConfig(
        r=4,
        lora_alpha=12,
        use_rslora=True,
        init_lora_weights=False,
        target_modules=list(ends),
        alpha_pattern={ends[0]: 3},
        rank_pattern={ends[1]: 2},
    )
    network = getattr(plain, part)
    network.add_adapter(config, adapter_name="x")
    wanted = {
        path: module.get_delta_weight("x").detach()
        for path, module in network.named_modules()
        if hasattr(module, "get_delta_weight")
    }
    layers = {f"{part}_lora_layers": get_peft_model_state_dict(network, adapter_name="x")}
    told = {f"{part}_lora_adapter_metadata": network.peft_config["x"].to_dict()}
    plain.save_lora_weights(tmp_path, **layers, **told)
    file = read(tmp_path / "pytorch_lora_weights.safetensors", known)
    assert len(file.changes) == file.matched == len(wanted) > 2
    for change in file.changes:
        delta = wanted[change.parameter.removesuffix(".weight")]
        torch.testing.assert_close(change.delta(torch.zeros_like(delta)), delta)
