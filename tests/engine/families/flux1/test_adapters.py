"""One LoRA changes the same weights in the same way, whichever program wrote its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from catalog.families.flux1 import FLUX1
from tests.engine.factories import catalog, digests, model, paint, pair, request, resident, save
from tests.engine.families.flux1.conftest import DEV
from tests.engine.families.flux1.files import SWAPPED, authors, fused, renamed
from tests.engine.families.flux2.files import stored
from tests.engine.families.flux2.test_adapters import dotted, flat, of_kohya, of_peft
from tests.parameters import mostly_long

RANK, ALPHA, WEIGHT = 4, 2.0, 0.7
Pairs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
Write = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]


@pytest.fixture(scope="module")
def weights(folders: Path) -> dict[str, torch.Tensor]:
    return stored(folders / DEV, "transformer")


@pytest.fixture(scope="module")
def pairs(weights: dict[str, torch.Tensor]) -> Pairs:
    """(down, up) by module, for every matrix. Those of one fused matrix have one down, as trained
    on it."""
    found = {
        name.removesuffix(".weight"): pair(tuple(tensor.shape), RANK, number)
        for number, (name, tensor) in enumerate(weights.items())
        if tensor.ndim == 2
    }
    for _, parts in fused(found):
        for part in parts[1:]:
            found[part] = (found[parts[0]][0].clone(), found[part][1])
    return found


def theirs(pairs: Pairs) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The pairs by Black Forest Labs' names, with fused matrices."""
    found = {own: two for path, two in pairs.items() if (own := renamed(path))}
    if SWAPPED[0] in pairs:
        down, up = pairs[SWAPPED[0]]
        found[SWAPPED[1]] = (down, torch.cat([*reversed(up.chunk(2))]))
    for own, parts in fused(pairs):
        found[own] = (pairs[parts[0]][0], torch.cat([pairs[part][1] for part in parts]))
    return found


def of_xlabs(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {f"{name}.down.weight": down, f"{name}.up.weight": up * (ALPHA / RANK)}


SPELLINGS: dict[str, tuple[bool, Callable[[str], str], Write]] = {
    "ai-toolkit": (True, dotted("diffusion_model."), of_peft),
    "kohya": (True, flat("lora_unet_"), of_kohya),
    "diffusers": (False, dotted("transformer."), of_peft),
    "OneTrainer": (False, flat("lora_transformer_"), of_kohya),
    "OneTrainer, dotted": (False, dotted("transformer."), of_kohya),
    "OneTrainer, original": (True, dotted(""), of_kohya),
    "fal": (True, dotted("base_model.model."), of_peft),
    "peft": (False, dotted("base_model.model."), of_peft),
    "SimpleTuner": (False, flat("lycoris_"), of_kohya),
    "ComfyUI": (True, dotted("diffusion_model."), of_kohya),
    "with the model's prefix": (True, dotted("model.diffusion_model."), of_kohya),
}


def changed(
    engine: Engine, path: Path, part: str = "transformer"
) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The parameters of a network with the adapter, and what it generates."""
    there = catalog([model("x", DEV, family=FLUX1)], a=path)
    painting = paint(engine, request(("a", WEIGHT), model="x", guidance=3.5, steps=1), there)
    # peft's alpha is in a file beside it, which a lone one has not got.
    assert {notice.code for notice in painting.warnings} <= {"adapter.no_scale"}
    resident(engine).wake(lambda: None, part)
    module = resident(engine).parts[part].module
    parameters = {name: tensor.clone() for name, tensor in module.named_parameters()}
    return parameters, digests(painting)


def check(found: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], pairs: Pairs) -> None:
    assert found.keys() == weights.keys()
    for name, base in weights.items():
        wanted = base
        if two := pairs.get(name.removesuffix(".weight")):
            down, up = two
            wanted = base + WEIGHT * (ALPHA / RANK) * (up @ down)
            assert (wanted - base).abs().max() > 0.01
        assert torch.allclose(found[name], wanted, atol=1e-5), name


@pytest.mark.parametrize("program", mostly_long(SPELLINGS, usual=4))
def test_every_spelling_gives_the_defined_weights(
    painter: Engine,
    tmp_path: Path,
    weights: dict[str, torch.Tensor],
    pairs: Pairs,
    program: str,
) -> None:
    original, spelled, write = SPELLINGS[program]
    tensors: dict[str, Any] = {}
    for name, (down, up) in (theirs(pairs) if original else pairs).items():
        tensors |= write(spelled(name), down, up)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    check(found, weights, pairs)


XLABS = {
    "double_blocks.{}.processor.qkv_lora1": "double_blocks.{}.img_attn.qkv",
    "double_blocks.{}.processor.qkv_lora2": "double_blocks.{}.txt_attn.qkv",
    "double_blocks.{}.processor.proj_lora1": "double_blocks.{}.img_attn.proj",
    "double_blocks.{}.processor.proj_lora2": "double_blocks.{}.txt_attn.proj",
    "single_blocks.{}.processor.proj_lora": "single_blocks.{}.linear2",
}


@pytest.mark.parametrize("prefix", ["", "diffusion_model."])
def test_xlabs_names_of_attentions(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor], pairs: Pairs, prefix: str
) -> None:
    of_theirs, tensors = theirs(pairs), dict[str, Any]()
    for name, own in XLABS.items():
        for number in range(2):
            tensors |= of_xlabs(prefix + name.format(number), *of_theirs[own.format(number)])
    single = [f"single_transformer_blocks.1.attn.to_{each}" for each in "qkv"]
    ups = torch.cat([pairs[path][1] for path in single])
    name = f"{prefix}single_blocks.1.processor.qkv_lora"
    tensors |= of_xlabs(name, pairs[single[0]][0], ups)
    meant = {
        path: two
        for path, two in pairs.items()
        if path in single
        or path.endswith(("attn.to_out.0", "attn.to_add_out"))
        or (path.startswith("single_") and path.endswith(".proj_out"))
        or (path.startswith("transformer_") and ".attn." in path)
    }
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    check(found, weights, meant)


def test_a_fused_file_and_a_split_one_give_the_same_bytes(
    painter: Engine, tmp_path: Path, pairs: Pairs
) -> None:
    images = []
    for number, (given, prefix) in enumerate(
        ((pairs, "transformer."), (theirs(pairs), "diffusion_model."))
    ):
        tensors: dict[str, Any] = {}
        for name, (down, up) in given.items():
            tensors |= of_kohya(prefix + name, down, up)
        images.append(changed(painter, save(tmp_path / f"{number}.safetensors", tensors))[1])
    assert images[0] == images[1]
    there = catalog([model("x", DEV, family=FLUX1)])
    assert digests(paint(painter, request(model="x", guidance=3.5, steps=1), there)) != images[0]


def test_a_kronecker_product_of_a_fused_matrix_is_cut_by_its_rows(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    base = authors(weights)["single_blocks.1.linear1.weight"]
    first = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    second = torch.randn(
        base.shape[0] // 4, base.shape[1] // 4, generator=torch.Generator().manual_seed(2)
    )
    name = "diffusion_model.single_blocks.1.linear1"
    tensors = {f"{name}.lokr_w1": first, f"{name}.lokr_w2": second}
    tensors[f"{name}.alpha"] = torch.tensor(1.0)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    wanted = base + WEIGHT * torch.kron(first, second)
    of = "single_transformer_blocks.1."
    parts = [f"{of}attn.to_q", f"{of}attn.to_k", f"{of}attn.to_v", f"{of}proj_mlp"]
    whole = torch.cat([found[f"{part}.weight"] for part in parts])
    assert torch.allclose(whole, wanted, atol=1e-5)


CLIP = "encoder.layers.1.self_attn.q_proj"
T5 = "encoder.block.1.layer.1.DenseReluDense.wi_0"
OF_ENCODERS = {
    "kohya, CLIP": ("text_encoder", CLIP, flat("lora_te1_text_model_"), of_kohya),
    "kohya, T5": ("text_encoder_2", T5, flat("lora_te3_"), of_kohya),
    "OneTrainer, T5": ("text_encoder_2", T5, flat("lora_te2_"), of_kohya),
    "diffusers, CLIP": ("text_encoder", CLIP, dotted("text_encoder.text_model."), of_peft),
    "diffusers, T5": ("text_encoder_2", T5, dotted("text_encoder_2."), of_peft),
    "ComfyUI, CLIP": (
        "text_encoder",
        CLIP,
        dotted("text_encoders.clip_l.transformer.text_model."),
        of_kohya,
    ),
    "ComfyUI, T5": ("text_encoder_2", T5, dotted("text_encoders.t5xxl.transformer."), of_kohya),
}


@pytest.mark.parametrize("program", mostly_long(OF_ENCODERS, usual=3))
def test_both_text_encoders_take_them(
    painter: Engine, folders: Path, tmp_path: Path, pairs: Pairs, program: str
) -> None:
    part, path, spelled, write = OF_ENCODERS[program]
    own = {name.removeprefix("text_model."): t for name, t in stored(folders / DEV, part).items()}
    base = own[f"{path}.weight"]
    down, up = pair(tuple(base.shape), RANK, 1)
    tensors = write(spelled(path), down, up)
    tensors |= write("lora_unet_img_in", *pairs["x_embedder"])
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors), part)
    (name,) = [each for each in found if each.removeprefix("text_model.") == f"{path}.weight"]
    assert torch.allclose(found[name], base + WEIGHT * (ALPHA / RANK) * (up @ down), atol=1e-5)
