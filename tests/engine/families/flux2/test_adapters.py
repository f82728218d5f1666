"""One LoRA changes the same weights in the same way, whichever program wrote its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from tests.engine.factories import catalog, digests, model, paint, pair, request, resident, save
from tests.engine.families.flux2.conftest import KLEIN
from tests.engine.families.flux2.files import DOUBLE, FUSED, OUTER, SINGLE, authors, stored
from tests.parameters import mostly_long

RANK, ALPHA, WEIGHT = 4, 2.0, 0.7
Pairs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
Write = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]

MODULES = (
    *("transformer_blocks.0.ff.linear_in", "transformer_blocks.1.ff_context.linear_out"),
    *("transformer_blocks.1.attn.to_out.0", "transformer_blocks.0.attn.to_add_out"),
    *(
        "single_transformer_blocks.0.attn.to_qkv_mlp_proj",
        "single_transformer_blocks.1.attn.to_out",
    ),
    *("double_stream_modulation_img.linear", "single_stream_modulation.linear"),
    *("x_embedder", "context_embedder", "proj_out", "norm_out.linear"),
    "time_guidance_embed.timestep_embedder.linear_1",
)
PROJECTIONS = tuple(
    f"transformer_blocks.{block}.attn.{name}"
    for block in range(2)
    for names in FUSED.values()
    for name in names
)


@pytest.fixture(scope="module")
def weights(folders: Path) -> dict[str, torch.Tensor]:
    return stored(folders / KLEIN, "transformer")


@pytest.fixture(scope="module")
def pairs(weights: dict[str, torch.Tensor]) -> Pairs:
    """(down, up) by module. Those of one fused matrix have one down, as trained on it."""
    found = {}
    for number, path in enumerate((*MODULES, *PROJECTIONS)):
        down, up = pair(tuple(weights[f"{path}.weight"].shape), RANK, number)
        found[path] = (down, up)
    for block in range(2):
        for names in FUSED.values():
            paths = [f"transformer_blocks.{block}.attn.{name}" for name in names]
            for path in paths:
                found[path] = (found[paths[0]][0].clone(), found[path][1])
    return found


def theirs(pairs: Pairs) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The pairs by Black Forest Labs' names, with fused projections."""
    found = {}
    for path, (down, up) in pairs.items():
        if path in OUTER:
            found[OUTER[path]] = (down, up)
        elif path == "norm_out.linear":
            scale, shift = up.chunk(2)
            found["final_layer.adaLN_modulation.1"] = (down, torch.cat([shift, scale]))
        else:
            kind, number, rest = path.split(".", 2)
            single = kind.startswith("single")
            if name := (SINGLE if single else DOUBLE).get(rest):
                side = "single_blocks" if single else "double_blocks"
                found[f"{side}.{number}.{name}"] = (down, up)
    for block in range(2):
        for fused, names in FUSED.items():
            parts = [pairs[f"transformer_blocks.{block}.attn.{name}"] for name in names]
            ups = torch.cat([up for _, up in parts])
            found[f"double_blocks.{block}.{fused}"] = (parts[0][0], ups)
    return found


def of_peft(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    """Without an alpha, so the factors are scaled already."""
    return {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up * (ALPHA / RANK)}


def of_kohya(name: str, down: torch.Tensor, up: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.alpha": torch.tensor(ALPHA),
    }


def flat(prefix: str) -> Callable[[str], str]:
    return lambda path: prefix + path.replace(".", "_")


def dotted(prefix: str) -> Callable[[str], str]:
    return lambda path: prefix + path


SPELLINGS: dict[str, tuple[bool, Callable[[str], str], Write]] = {
    "diffusers": (False, dotted("transformer."), of_peft),
    "peft": (False, dotted("base_model.model."), of_peft),
    "SimpleTuner": (False, flat("lycoris_"), of_kohya),
    "OneTrainer": (False, dotted("transformer."), of_kohya),
    "OneTrainer, older": (False, flat("lora_transformer_"), of_kohya),
    "OneTrainer, original": (True, dotted(""), of_kohya),
    "ai-toolkit": (True, dotted("diffusion_model."), of_peft),
    "ComfyUI": (True, dotted("diffusion_model."), of_kohya),
    "musubi-tuner": (True, flat("lora_unet_"), of_kohya),
}


def changed(engine: Engine, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The transformer's parameters with the adapter, and what it generates."""
    there = catalog([model("x", KLEIN)], a=path)
    painting = paint(engine, request(("a", WEIGHT), model="x", guidance=1.0, steps=1), there)
    # peft's alpha is in a file beside it, which a lone one has not got.
    assert {notice.code for notice in painting.warnings} <= {"adapter.no_scale"}
    part = resident(engine).parts["transformer"]
    parameters = {name: tensor.clone() for name, tensor in part.module.named_parameters()}
    return parameters, digests(painting)


@pytest.mark.parametrize("program", mostly_long(SPELLINGS, usual=4))
def test_every_spelling_gives_the_defined_weights(
    painter: Engine,
    tmp_path: Path,
    weights: dict[str, torch.Tensor],
    pairs: Pairs,
    program: str,
) -> None:
    original, spelled, write = SPELLINGS[program]
    given = theirs(pairs) if original else pairs
    tensors: dict[str, Any] = {}
    for name, (down, up) in given.items():
        tensors |= write(spelled(name), down, up)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    assert found.keys() == weights.keys()
    for name, base in weights.items():
        wanted = base
        if two := pairs.get(name.removesuffix(".weight")):
            down, up = two
            wanted = base + WEIGHT * (ALPHA / RANK) * (up @ down)
            assert (wanted - base).abs().max() > 0.01
        assert torch.allclose(found[name], wanted, atol=1e-5), name


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
    bare = paint(painter, request(model="x", guidance=1.0, steps=1), catalog([model("x", KLEIN)]))
    assert digests(bare) != images[0]


def test_a_kronecker_product_of_a_fused_matrix_is_cut_by_its_rows(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    base = authors(weights)["double_blocks.1.txt_attn.qkv.weight"]
    first = torch.randn(4, 4, generator=torch.Generator().manual_seed(1))
    second = torch.randn(
        base.shape[0] // 4, base.shape[1] // 4, generator=torch.Generator().manual_seed(2)
    )
    name = "diffusion_model.double_blocks.1.txt_attn.qkv"
    tensors = {f"{name}.lokr_w1": first, f"{name}.lokr_w2": second}
    tensors[f"{name}.alpha"] = torch.tensor(1.0)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    wanted = base + WEIGHT * torch.kron(first, second)
    parts = [found[f"transformer_blocks.1.attn.add_{x}_proj.weight"] for x in "qkv"]
    assert torch.allclose(torch.cat(parts), wanted, atol=1e-5)
