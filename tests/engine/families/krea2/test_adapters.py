"""One LoRA changes the same weights in the same way, whichever program wrote its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from tests.engine.factories import catalog, digests, paint, pair, request, resident, save
from tests.engine.families.flux2.files import stored
from tests.engine.families.flux2.test_adapters import dotted, flat, of_kohya, of_peft
from tests.engine.families.krea2.conftest import TURBO, entry
from tests.engine.families.krea2.files import authors_module
from tests.parameters import mostly_long

RANK, ALPHA, WEIGHT = 4, 2.0, 0.7
Pairs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
Write = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]

BLOCKS = (
    "transformer_blocks.1",
    "text_fusion.layerwise_blocks.0",
    "text_fusion.refiner_blocks.0",
)
INNER = (
    *("attn.to_q", "attn.to_k", "attn.to_v", "attn.to_gate", "attn.to_out.0"),
    *("ff.gate", "ff.up", "ff.down"),
)
MODULES = (
    *(f"{block}.{name}" for block in BLOCKS for name in INNER),
    *("img_in", "time_embed.linear_1", "time_embed.linear_2", "time_mod_proj"),
    *("txt_in.linear_1", "txt_in.linear_2", "text_fusion.projector", "final_layer.linear"),
)


@pytest.fixture(scope="module")
def weights(folders: Path) -> dict[str, torch.Tensor]:
    return stored(folders / TURBO, "transformer")


@pytest.fixture(scope="module")
def pairs(weights: dict[str, torch.Tensor]) -> Pairs:
    """(down, up) by module."""
    return {
        path: pair(tuple(weights[f"{path}.weight"].shape), RANK, number)
        for number, path in enumerate(MODULES)
    }


SPELLINGS: dict[str, tuple[bool, Callable[[str], str], Write]] = {
    "Krea and diffusers": (False, dotted("transformer."), of_peft),
    "peft": (False, dotted("base_model.model."), of_peft),
    "OneTrainer": (False, dotted("transformer."), of_kohya),
    "SimpleTuner": (False, flat("lycoris_"), of_kohya),
    "bare": (False, dotted(""), of_peft),
    "ai-toolkit": (True, dotted("diffusion_model."), of_peft),
    "peft, original": (True, dotted("base_model.model."), of_peft),
    "original, bare": (True, dotted(""), of_kohya),
    "musubi-tuner": (True, flat("lora_unet_"), of_kohya),
    "OneTrainer, legacy": (True, flat("lora_transformer_"), of_kohya),
    "SimpleTuner, original": (True, flat("lycoris_"), of_kohya),
}
"""From filipstrand/mflux, tests of its Krea 2 mapping, and the converters that
bot/engine/patches/spelling.py names."""


def changed(engine: Engine, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The transformer's parameters with the adapter, and what it generates."""
    there = catalog([entry(TURBO)], a=path)
    painting = paint(engine, request(("a", WEIGHT), model="x", guidance=1.0, steps=1), there)
    assert {notice.code for notice in painting.warnings} <= {"adapter.no_scale"}
    part = resident(engine).parts["transformer"]
    parameters = {name: tensor.clone() for name, tensor in part.module.named_parameters()}
    return parameters, digests(painting)


@pytest.mark.parametrize("program", mostly_long(SPELLINGS, usual=["ai-toolkit", "musubi-tuner"]))
def test_every_spelling_gives_the_defined_weights(
    painter: Engine,
    tmp_path: Path,
    weights: dict[str, torch.Tensor],
    pairs: Pairs,
    program: str,
) -> None:
    original, spelled, write = SPELLINGS[program]
    tensors: dict[str, Any] = {}
    for name, (down, up) in pairs.items():
        tensors |= write(spelled(authors_module(name) if original else name), down, up)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    assert found.keys() == weights.keys()
    for name, base in weights.items():
        wanted = base
        if two := pairs.get(name.removesuffix(".weight")):
            down, up = two
            wanted = base + WEIGHT * (ALPHA / RANK) * (up @ down)
            assert (wanted - base).abs().max() > 0.01
        assert torch.allclose(found[name], wanted, atol=1e-5), name


@pytest.mark.long
def test_two_spellings_give_the_same_bytes(painter: Engine, tmp_path: Path, pairs: Pairs) -> None:
    images = []
    renamings: tuple[Callable[[str], str], ...] = (str, authors_module)
    for number, rename in enumerate(renamings):
        tensors: dict[str, Any] = {}
        for name, (down, up) in pairs.items():
            tensors |= of_kohya(f"diffusion_model.{rename(name)}", down, up)
        images.append(changed(painter, save(tmp_path / f"{number}.safetensors", tensors))[1])
    assert images[0] == images[1]
    bare = paint(painter, request(model="x", guidance=1.0, steps=1), catalog([entry(TURBO)]))
    assert digests(bare) != images[0]


def test_norms_change_by_differences_in_fp32(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    """By the authors' name of their weight."""
    norms = {
        "transformer_blocks.1.norm1": "blocks.1.prenorm",
        "transformer_blocks.1.attn.norm_q": "blocks.1.attn.qknorm.qnorm",
        "txt_in.norm": "txtmlp.0",
        "final_layer.norm": "last.norm",
    }
    differences = {
        f"diffusion_model.{theirs}.scale.diff": torch.full_like(weights[f"{ours}.weight"], 0.25)
        for ours, theirs in norms.items()
    }
    found, _ = changed(painter, save(tmp_path / "a.safetensors", differences))
    for name, base in weights.items():
        own = name.removesuffix(".weight") in norms
        assert torch.equal(found[name], base + WEIGHT * 0.25 if own else base), name


@pytest.mark.long
@pytest.mark.parametrize("kind", ["LoRA", "DoRA", "LoKr", "LoKr, DoRA", "LoHa", "(IA)³, input"])
def test_projections_that_were_fused_for_training(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor], kind: str
) -> None:
    """SimpleTuner's `fused_qkv_projections`: of fewer keys and values than queries."""
    from tests.engine.patches import make
    from tests.engine.patches.formulas import expected_delta

    attention = "transformer_blocks.1.attn"
    fused = torch.cat([weights[f"{attention}.to_{each}.weight"] for each in "qkv"])
    made = make.module(kind, tuple(fused.shape), rank=4, alpha=3.0, seed=3)
    name = f"lycoris_{attention.replace('.', '_')}_to_qkv"
    path = save(tmp_path / "a.safetensors", {f"{name}.{leaf}": t for leaf, t in made.items()})
    found, _ = changed(painter, path)
    delta = expected_delta(kind, made, fused.double())
    wanted = (fused.double() + WEIGHT * delta).float()
    own = torch.cat([found[f"{attention}.to_{each}.weight"] for each in "qkv"])
    assert (wanted - fused).abs().max() > 0.001
    assert torch.allclose(own, wanted, atol=1e-5)
