"""One LoRA changes the same weights in the same way, whichever program wrote its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from tests.engine.factories import catalog, digests, model, paint, pair, request, resident, save
from tests.engine.families.flux2.files import stored
from tests.engine.families.flux2.test_adapters import dotted, flat, of_kohya, of_peft
from tests.engine.families.zimage.conftest import TURBO
from tests.engine.families.zimage.files import PARTS, authors

pytestmark = pytest.mark.long

RANK, ALPHA, WEIGHT = 4, 2.0, 0.7
Pairs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
Write = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]

BLOCKS = ("layers.1", "noise_refiner.0", "context_refiner.0")
INNER = ("attention.to_out.0", "feed_forward.w1", "feed_forward.w2", "feed_forward.w3")
MODULES = (
    *(f"{block}.{name}" for block in BLOCKS for name in INNER),
    *("layers.0.adaLN_modulation.0", "all_x_embedder.2-1", "cap_embedder.1"),
)
PROJECTIONS = tuple(f"{block}{part.rstrip('.')}" for block in BLOCKS for part in PARTS)


@pytest.fixture(scope="module")
def weights(folders: Path) -> dict[str, torch.Tensor]:
    return stored(folders / TURBO, "transformer")


@pytest.fixture(scope="module")
def pairs(weights: dict[str, torch.Tensor]) -> Pairs:
    """(down, up) by module. Those of one fused matrix have one down, as trained on it."""
    found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    for number, path in enumerate((*MODULES, *PROJECTIONS)):
        down, up = pair(tuple(weights[f"{path}.weight"].shape), RANK, number)
        if path in PROJECTIONS:
            down = found.get(f"{path[:-1]}q", (down, up))[0].clone()
        found[path] = (down, up)
    return found


def theirs(pairs: Pairs) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The pairs by the authors' names, with fused projections."""
    ups = authors({f"{path}.weight": up for path, (_, up) in pairs.items()})
    downs = authors({f"{path}.weight": down for path, (down, _) in pairs.items()})
    return {
        name.removesuffix(".weight"): (
            downs[name][:RANK],
            up,
        )  # a fused one has it three times
        for name, up in ups.items()
    }


SPELLINGS: dict[str, tuple[bool, Callable[[str], str], Write]] = {
    "diffusers": (False, dotted("transformer."), of_peft),
    "peft": (False, dotted("base_model.model."), of_peft),
    "ai-toolkit": (False, dotted("diffusion_model."), of_peft),
    "SimpleTuner": (False, flat("lycoris_"), of_kohya),
    "OneTrainer": (False, dotted("transformer."), of_kohya),
    "musubi-tuner": (False, flat("lora_unet_"), of_kohya),
    "with two underscores": (False, flat("lora_unet__"), of_kohya),
    "ComfyUI": (True, dotted("diffusion_model."), of_kohya),
    "original, bare": (True, dotted(""), of_kohya),
    "musubi-tuner, fused": (True, flat("lora_unet_"), of_kohya),
}


def changed(engine: Engine, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The transformer's parameters with the adapter, and what it generates."""
    there = catalog([model("x", TURBO)], a=path)
    painting = paint(engine, request(("a", WEIGHT), model="x", guidance=1.0, steps=1), there)
    assert {notice.code for notice in painting.warnings} <= {"adapter.no_scale"}
    part = resident(engine).parts["transformer"]
    parameters = {name: tensor.clone() for name, tensor in part.module.named_parameters()}
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


@pytest.mark.parametrize("program", SPELLINGS)
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


def test_fused_and_split_names_in_one_file(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor], pairs: Pairs
) -> None:
    tensors: dict[str, Any] = {}
    for name, (down, up) in pairs.items():
        if not name.startswith("layers.1."):
            tensors |= of_kohya(f"diffusion_model.{name}", down, up)
    for name, (down, up) in theirs(pairs).items():
        if name.startswith("layers.1."):
            tensors |= of_kohya(f"diffusion_model.{name}", down, up)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    check(found, weights, pairs)


def test_a_fused_file_and_a_split_one_give_the_same_bytes(
    painter: Engine, tmp_path: Path, pairs: Pairs
) -> None:
    images = []
    for number, given in enumerate((pairs, theirs(pairs))):
        tensors: dict[str, Any] = {}
        for name, (down, up) in given.items():
            tensors |= of_kohya(f"diffusion_model.{name}", down, up)
        images.append(changed(painter, save(tmp_path / f"{number}.safetensors", tensors))[1])
    assert images[0] == images[1]
    bare = paint(painter, request(model="x", guidance=1.0, steps=1), catalog([model("x", TURBO)]))
    assert digests(bare) != images[0]
