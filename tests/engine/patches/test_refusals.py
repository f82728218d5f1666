"""Adapter files of kinds that cannot be applied, for other base models, or of something else."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import notices
from catalog.families.sdxl import SDXL
from catalog.misfit import misfit
from catalog.weight_files import (
    EMBEDDING,
    SUPPORTED,
    UNSUPPORTED,
    AdapterFacts,
    adapter_facts,
    read_configs,
    read_header,
)
from tests.engine.factories import kohya, save
from tests.engine.patches import make
from tests.engine.patches.reading import NAME, SHAPE, read, refused, subject


def one(name: str, *shape: int) -> dict[str, Any]:
    return {name: torch.zeros(shape or (4, 4))}


OTHERS = [
    (f"{NAME}.up_list.0", "DyLoRA"),
    (f"{NAME}.lora_A.3", "DyLoRA"),
    ("lora_controlnet", "ControlLoRA"),
    ("input_blocks.1.1.proj_in.up", "ControlLoRA"),
    ("lllite_unet_input_blocks_4_1.up.0.weight", "ControlNet-LLLite"),
    (f"{NAME}.p_layer.weight", "T-LoRA"),
    (f"{NAME}.lora_E", "AdaLoRA"),
    (f"{NAME}.oft_R.weight", "OFT of OneTrainer, or of peft without adapter_config.json"),
    (f"{NAME}.oft_r", "OFT of peft before 0.16"),
    (f"{NAME}.oft_diag", "OFT of LyCORIS 1"),
    (f"{NAME}.vera_lambda_b", "VeRA"),
    (f"{NAME}.lora_embedding_A", "LoRA of embeddings"),
    ("controlnet_down_blocks.0.weight", "ControlNet"),
    ("image_proj.proj.weight", "IP-Adapter"),
    ("model.diffusion_model.input_blocks.0.0.weight", "checkpoint"),
    ("conditioner.embedders.0.model.ln_final.bias", "checkpoint"),
]
EMBEDDINGS = ("text_encoders_1", "string_to_param.*", "clip_g")
CONFIGURED: list[tuple[dict[str, Any], str]] = [
    ({"peft_type": "ADALORA"}, "AdaLoRA"),
    ({"peft_type": "VERA"}, "VeRA"),
    ({"peft_type": "FOURIERFT"}, "another method of peft"),
    ({"peft_type": "something new"}, "another method of peft"),
    ({"init_lora_weights": "pissa"}, "PiSSA"),
    ({"init_lora_weights": "pissa_niter_16"}, "PiSSA"),
    ({"init_lora_weights": "olora"}, "OLoRA"),
    ({"init_lora_weights": "corda"}, "CorDA"),
    ({"init_lora_weights": "loftq"}, "LoftQ"),
    ({"init_lora_weights": "lora_ga"}, "LoRA-GA"),
    ({"layer_replication": [[0, 4]]}, "LoRA with replicated layers"),
    ({"alora_invocation_tokens": [1]}, "aLoRA"),
    ({"use_qalora": True}, "QALoRA"),
    ({"velora_config": {"rank": 1}}, "VeLoRA"),
    ({"monteclora_config": {"num_samples": 2}}, "MonteCLoRA"),
    ({"use_bdlora": {"nblocks": 2}}, "BD-LoRA"),
    ({"arrow_config": {"top_k": 2}}, "Arrow"),
    ({"kasa_config": {"beta": 1}}, "KaSA"),
]


@pytest.mark.parametrize(("fields", "kind"), CONFIGURED)
def test_other_methods_of_peft_are_named(
    known: dict[str, Any], tmp_path: Path, fields: dict[str, Any], kind: str
) -> None:
    path = save(tmp_path / "adapter_model.safetensors", kohya(NAME, SHAPE))
    config = json.dumps({"peft_type": "LORA", "r": 4} | fields)
    (tmp_path / "adapter_config.json").write_text(config)
    failure = refused(path, known)
    assert (failure.code, failure.params["kind"]) == ("adapter.unsupported", kind)
    assert catalogued(path).algorithm == kind


@pytest.mark.parametrize(("extra", "kind"), OTHERS)
def test_other_kinds_are_named_not_dropped(
    known: dict[str, Any], tmp_path: Path, extra: str, kind: str
) -> None:
    tensors = {**kohya(NAME, SHAPE), **one(extra)}
    path = save(tmp_path / "x.safetensors", tensors)
    failure = refused(path, known)
    assert (failure.code, failure.params["kind"]) == ("adapter.unsupported", kind)
    told = catalogued(path)
    assert told.algorithm == kind
    why = misfit(told, [SDXL], vouched=True)
    assert why is not None
    assert (why.kind, why.found) == ("algorithm", kind)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_an_embedding_is_named_alone_and_inside_a_lora(
    known: dict[str, Any], tmp_path: Path, name: str
) -> None:
    failure = refused(save(tmp_path / "alone.safetensors", one(name)), known)
    assert (failure.code, failure.params["kind"]) == ("adapter.unsupported", EMBEDDING)
    path = save(tmp_path / "both.safetensors", {**kohya(NAME, SHAPE), **one(name)})
    file = read(path, known)
    assert file.changes
    assert name in file.unused or file.embeddings
    assert misfit(catalogued(path), [SDXL], vouched=True) is None


def test_every_kind_that_cannot_be_applied_is_told_by_some_name() -> None:
    told = {kind for _, kind in OTHERS} | {kind for _, kind in CONFIGURED}
    assert told | {EMBEDDING} == {*UNSUPPORTED}


@pytest.mark.parametrize("family", [name for name in make.ALGORITHMS if name != "norm"])
def test_what_the_catalog_takes_for_possible_the_engine_applies(
    known: dict[str, Any], tmp_path: Path, family: str
) -> None:
    modules = make.demo_modules(text=False)
    if "Tucker" in family:
        modules = {name: shape for name, shape in modules.items() if len(shape) > 2}
    path = make.file(tmp_path / "x.safetensors", family, modules)
    assert read(path, known).changes
    told = catalogued(path)
    assert set(told.algorithm.split(" + ")) <= set(SUPPORTED)
    assert misfit(told, [SDXL], vouched=True) is None


def catalogued(path: Path) -> AdapterFacts:
    """The catalog's facts about a file."""
    header = read_header(path)
    return adapter_facts(header.shapes, header.metadata, read_configs(path, header.metadata))


@pytest.mark.parametrize(
    "tensor",
    [
        *(f"{NAME}.{end}" for end in ("diff.weight", "lora_C", "lora_A.b.c.weight", "set_weight")),
        *(f"{NAME}.{end}" for end in ("down.weight", "lora_C.weight", "lora_down.x.weight")),
        *("unet.conv_in.weight", "weight"),
    ],
)
def test_a_tensor_of_no_known_kind_is_named(
    known: dict[str, Any], tmp_path: Path, tensor: str
) -> None:
    tensors = {**kohya(NAME, SHAPE), **one(tensor)}
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["tensor"]) == ("adapter.unknown_tensor", tensor)
    why = misfit(catalogued(tmp_path / "x.safetensors"), [SDXL], vouched=True)
    assert why is not None, "it would be offered"
    assert tensor[:60] in why.found


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_numbers_of_no_module_are_left_out_and_named(
    known: dict[str, Any], tmp_path: Path, shape: tuple[int, ...]
) -> None:
    names = ("global_step", "iteration", "lora_te1_logit_scale", "optimizer.step")
    tensors = {**kohya(NAME, SHAPE), **{name: torch.ones(shape) for name in names}}
    path = save(tmp_path / "x.safetensors", tensors)
    plain = read(save(tmp_path / "plain.safetensors", kohya(NAME, SHAPE)), known)
    file = read(path, known)
    assert file.strays == names
    assert (file.total, file.matched, file.skipped) == (1, 1, ())
    [change], [own] = file.changes, plain.changes
    weight = torch.ones(SHAPE)
    assert torch.equal(change.delta(weight), own.delta(weight))
    assert misfit(catalogued(path), [SDXL], vouched=True) is None
    [notice] = notices.of_adapters([(path, subject())], [file], {})
    assert (notice.code, notice.params["names"]) == ("adapter.strays", ", ".join(names))


@pytest.mark.parametrize("tensor", [f"{NAME}.gate", f"{NAME}.weight"])
def test_a_number_of_a_module_is_no_stray(
    known: dict[str, Any], tmp_path: Path, tensor: str
) -> None:
    tensors = {**kohya(NAME, SHAPE), tensor: torch.ones(1)}
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["tensor"]) == ("adapter.unknown_tensor", tensor)
    assert misfit(catalogued(tmp_path / "x.safetensors"), [SDXL], vouched=True) is not None


FLUX = "lora_unet_double_blocks_0_img_attn_proj"
SD3 = "transformer.transformer_blocks.0.attn.add_k_proj"


@pytest.mark.parametrize(
    ("name", "shape", "metadata", "family"),
    [
        (FLUX, (64, 64), {}, "FLUX.1/Chroma"),
        (SD3, (64, 1536), {}, "SD 3"),
        ("lora_unet_input_blocks_99_1_transformer_blocks_0_attn2_to_k", (64, 768), {}, "SD 1.5"),
        ("lora_unet_up_blocks_x_attn2_to_v", (64, 1024), {}, "SD 2"),
        ("x", (64, 64), {"modelspec.architecture": "stable-diffusion-v1/lora"}, "SD 1.5"),
    ],
)
@pytest.mark.parametrize("kind", ["LoRA", "LoHa", "LoKr"])
def test_a_file_that_fits_nothing_says_what_it_is_for(
    known: dict[str, Any],
    tmp_path: Path,
    name: str,
    shape: tuple[int, int],
    metadata: dict[str, str],
    family: str,
    kind: str,
) -> None:
    modules = {name: shape, "lora_unet_other": (8, 8)}
    path = make.file(tmp_path / "x.safetensors", kind, modules, metadata=metadata)
    failure = refused(path, known)
    assert failure.code == "adapter.other_base"
    assert (failure.params["family"], failure.params["total"]) == (family, 2)


@pytest.mark.parametrize(
    ("name", "shape", "metadata", "base"),
    [
        ("lora_unet_up_blocks_x_attn2_to_v", (64, 2048), {}, "SDXL"),
        ("x", (64, 64), {"ss_base_model_version": "sdxl_base_v1-0"}, "SDXL"),
        ("x", (64, 64), {"ss_sd_model_name": "ponyDiffusionV6XL.safetensors"}, "Pony"),
    ],
)
def test_one_for_this_kind_of_model_that_fits_nothing_is_not_said_to_be_for_another(
    known: dict[str, Any],
    tmp_path: Path,
    name: str,
    shape: tuple[int, int],
    metadata: dict[str, str],
    base: str,
) -> None:
    path = save(tmp_path / "x.safetensors", kohya(name, shape), metadata)
    assert catalogued(path).base == base
    failure = refused(path, known)
    assert (failure.code, failure.params["tensors"]) == ("adapter.matches_nothing", 3)


def test_a_broken_module_does_not_hide_what_a_file_is_for(
    known: dict[str, Any], tmp_path: Path
) -> None:
    both = make.module("LoRA", (64, 768)) | make.module("LoHa", (64, 768))
    tensors = {f"lora_unet_up_blocks_a_attn2_to_k.{part}": tensor for part, tensor in both.items()}
    tensors |= kohya("lora_unet_up_blocks_b_attn2_to_k", (64, 768))
    failure = refused(save(tmp_path / "x.safetensors", tensors), known)
    assert (failure.code, failure.params["family"]) == ("adapter.other_base", "SD 1.5")


def test_a_file_that_fits_nothing_and_says_nothing(known: dict[str, Any], tmp_path: Path) -> None:
    failure = refused(save(tmp_path / "x.safetensors", kohya("lora_unet_x", (4, 4))), known)
    assert (failure.code, failure.params["tensors"]) == ("adapter.matches_nothing", 3)
    hostile = {"modelspec.architecture": "@everyone"}
    path = save(tmp_path / "y.safetensors", kohya("lora_unet_x", (4, 4)), hostile)
    assert refused(path, known).code == "adapter.matches_nothing"


DEEP = "model.diffusion_model.middle_block.1.transformer_blocks.0."
OTHER_FILES: list[tuple[dict[str, tuple[int, ...]], str]] = [
    ({"decoder.conv_in.weight": (8, 4, 3, 3), "encoder.conv_in.weight": (8, 3, 3, 3)}, "VAE"),
    ({"first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3)}, "VAE"),
    ({"text_model.embeddings.token_embedding.weight": (8, 768)}, "text encoder (CLIP)"),
    ({"encoder.block.0.layer.0.SelfAttention.q.weight": (8, 8)}, "text encoder (T5)"),
    ({"conv_first.weight": (8, 3, 3, 3)}, "upscaler"),
    ({"double_blocks.0.img_attn.qkv.weight": (8, 8), "img_in.weight": (8, 64)}, "FLUX.1-like"),
    (
        {
            "model.diffusion_model.input_blocks.0.0.weight": (8, 4, 3, 3),
            "model.diffusion_model.label_emb.0.0.weight": (8, 2816),
            f"{DEEP}attn2.to_k.weight": (8, 2048),
            "first_stage_model.decoder.conv_in.weight": (8, 4, 3, 3),
        },
        "SDXL checkpoint",
    ),
]


@pytest.mark.parametrize(("shapes", "kind"), OTHER_FILES)
def test_a_file_of_another_kind_is_called_what_it_is(
    known: dict[str, Any], tmp_path: Path, shapes: dict[str, tuple[int, ...]], kind: str
) -> None:
    path = save(tmp_path / "x.safetensors", {n: torch.zeros(s) for n, s in shapes.items()})
    failure = refused(path, known)
    assert failure.code == "adapter.something_else"
    assert str(failure.params["kind"]).startswith(kind)
    assert failure.params["kind"] == catalogued(path).other
