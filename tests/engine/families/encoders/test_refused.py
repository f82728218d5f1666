"""What is no text encoder of a model, or not the whole of one, is refused by name."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from bot.errors import JobFailed
from catalog.families import FAMILIES, TEXT_ENCODER
from tests.engine.factories import catalog, digests, model, paint
from tests.engine.families.encoders.files import (
    ASKED,
    EMBEDDINGS_OF_T5,
    READING,
    causal,
    embeddings_of,
)
from tests.engine.families.flux2.files import Tensors, stored, write
from tests.parameters import mostly_long


def refusal(painter: Engine, family: str, encoder: Path, **fields: Any) -> JobFailed:
    entry = model("x", family, family=family, text_encoder_path=str(encoder), **fields)
    with pytest.raises(JobFailed) as failure:
        paint(painter, ASKED, catalog([entry]))
    return failure.value


def wide(tensors: Tensors, width: int) -> Tensors:
    """A model with so wide an embedding of a single token."""
    return {**tensors, embeddings_of(tensors): torch.zeros(1, width)}


@pytest.mark.parametrize("layout", ["folder", "file"])
@pytest.mark.parametrize("family", mostly_long(READING, usual=["flux2"]))
def test_one_of_another_size_is_refused_by_name(
    painter: Engine, folders: Path, tmp_path: Path, family: str, layout: str
) -> None:
    tensors = causal(folders / family)
    sizes = {1024: "Qwen3-0.6B", 2560: "Qwen3-4B", 4096: "Qwen3-8B", 32: "Qwen3"}
    if EMBEDDINGS_OF_T5 in tensors:
        sizes = {1024: "T5", 32: "T5"}
    if family == "krea2":
        sizes = {2048: "Qwen3-VL-2B", 2560: "Qwen3-VL-4B", 4096: "Qwen3-VL-8B", 32: "Qwen3-VL"}
    for width, name in sizes.items():
        if name == FAMILIES[family].encoder:
            continue
        file = tmp_path / f"{width}" / "model.safetensors"
        write(file, wide(tensors, width))
        if layout == "folder":
            shutil.copy(folders / family / TEXT_ENCODER / "config.json", file.parent)
        failure = refusal(painter, family, file.parent if layout == "folder" else file)
        assert failure.code == "model.other_encoder"
        assert failure.params == {
            "model": "x",
            "needed": FAMILIES[family].encoder,
            "what": f"text encoder ({name})",
        }


def test_what_is_no_text_encoder_is_refused_by_name(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    tensors = causal(folders / "zimage")
    gemma = {**tensors, "model.layers.0.post_feedforward_layernorm.weight": torch.ones(16)}
    lora = {f"lora_unet_a.lora_{end}.weight": torch.zeros(4, 4) for end in ("up", "down")}
    vision = {**tensors, "visual.merger.norm.weight": torch.ones(4)}
    for name, stated, what in (
        ("gemma", gemma, "text encoder (language model)"),
        ("lora", lora, "LoRA"),
        ("vision", vision, "text encoder (Qwen3-VL)"),
        ("of Krea 2", causal(folders / "krea2"), "text encoder (Qwen3-VL)"),
        ("vae", stored(folders / "zimage", "vae"), FAMILIES["zimage"].vae),
    ):
        failure = refusal(painter, "zimage", write(tmp_path / f"{name}.safetensors", stated))
        assert (failure.code, failure.params["what"]) == ("model.other_encoder", what)


def configured(folder: Path, target: Path, **fields: Any) -> Path:
    """A copy of the text encoder of a pipeline whose configuration says something else."""
    copy = Path(shutil.copytree(folder / TEXT_ENCODER, target))
    config = json.loads((copy / "config.json").read_text(encoding="utf-8"))
    (copy / "config.json").write_text(json.dumps({**config, **fields}), encoding="utf-8")
    return copy


@pytest.mark.parametrize(
    ("fields", "code", "said"),
    [
        ({"model_type": "llama"}, "model.other_encoder", "text encoder of the type llama"),
        ({"hidden_size": 1024}, "model.other_encoder", "text encoder (Qwen3-0.6B)"),
        ({"hidden_act": "import os"}, "model.configuration", "text_encoder.hidden_act"),
        ({"quantization_config": {"quant_method": "fp8"}}, "model.quantised", "fp8"),
    ],
)
def test_a_configuration_that_does_not_fit_is_refused(
    painter: Engine, folders: Path, tmp_path: Path, fields: dict[str, Any], code: str, said: str
) -> None:
    folder = configured(folders / "zimage", tmp_path / "e", **fields)
    failure = refusal(painter, "zimage", folder)
    assert failure.code == code
    assert said in " ".join(map(str, failure.params.values()))


@pytest.mark.long
def test_of_its_configuration_all_but_the_depth_counts(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    """Which layers are read is what the denoiser was trained with."""
    own = digests(paint(painter, ASKED, catalog([model("x", "zimage", family="zimage")])))
    rope = {"rope_type": "default", "rope_theta": 5_000.0}
    for name, fields, same in (
        ("depth", {"num_hidden_layers": 30}, True),
        ("rope", {"rope_parameters": rope}, False),
    ):
        folder = configured(folders / "zimage", tmp_path / name, **fields)
        offered = catalog([model("x", "zimage", family="zimage", text_encoder_path=str(folder))])
        assert (digests(paint(painter, ASKED, offered)) == own) is same


@pytest.mark.long
def test_one_that_was_cut_for_another_family_is_incomplete(
    painter: Engine, folders: Path, tmp_path: Path
) -> None:
    tensors = {
        name: tensor
        for name, tensor in causal(folders / "zimage").items()
        if not name.startswith(tuple(f"model.layers.{number}." for number in range(27, 36)))
    }
    file = write(tmp_path / "cut.safetensors", tensors)
    assert paint(
        painter, ASKED, catalog([model("x", "flux2", family="flux2", text_encoder_path=str(file))])
    )
    failure = refusal(painter, "zimage", file)
    assert failure.code == "model.incomplete"
    assert failure.params["part"] == "text_encoder (layers.27.self_attn.q_proj.weight)"
