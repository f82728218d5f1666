"""One LoRA changes the same weights in the same way, whichever program wrote its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.engine import Engine
from tests.engine.factories import catalog, digests, model, paint, pair, request, resident, save
from tests.engine.families.chroma.conftest import HD
from tests.engine.families.chroma.files import authors, theirs
from tests.engine.families.flux2.files import stored
from tests.engine.families.flux2.test_adapters import dotted, flat, of_kohya, of_peft
from tests.parameters import mostly_long

RANK, ALPHA, WEIGHT = 4, 2.0, 0.7
Pairs = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
Write = Callable[[str, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]

TWO, ONE = "transformer_blocks.1.", "single_transformer_blocks.0."
FUSED = (
    tuple(f"{TWO}attn.to_{each}" for each in "qkv"),
    tuple(f"{TWO}attn.add_{each}_proj" for each in "qkv"),
    (*(f"{ONE}attn.to_{each}" for each in "qkv"), f"{ONE}proj_mlp"),
)
MODULES = (
    *(f"{TWO}{name}" for name in ("ff.net.0.proj", "ff_context.net.2", "attn.to_out.0")),
    *(f"{TWO}attn.to_add_out", f"{ONE}proj_out", "x_embedder", "context_embedder", "proj_out"),
    *("distilled_guidance_layer.layers.1.linear_1", "distilled_guidance_layer.out_proj"),
)


@pytest.fixture(scope="module")
def weights(folders: Path) -> dict[str, torch.Tensor]:
    return stored(folders / HD, "transformer")


@pytest.fixture(scope="module")
def pairs(weights: dict[str, torch.Tensor]) -> Pairs:
    """(down, up) by module. Those of one fused matrix have one down, as trained on it."""
    found: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    first = {path: paths[0] for paths in FUSED for path in paths}
    for number, path in enumerate((*MODULES, *first)):
        down, up = pair(tuple(weights[f"{path}.weight"].shape), RANK, number)
        if (shared := first.get(path, path)) != path:
            down = found[shared][0].clone()
        found[path] = (down, up)
    return found


def originals(pairs: Pairs) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """The pairs by the authors' names, with fused projections."""
    ups = authors({f"{path}.weight": up for path, (_, up) in pairs.items()})
    downs = {theirs(f"{path}.weight"): down for path, (down, _) in pairs.items()}
    return {name.removesuffix(".weight"): (downs[name], up) for name, up in ups.items()}


SPELLINGS: dict[str, tuple[bool, Callable[[str], str], Write]] = {
    "diffusers": (False, dotted("transformer."), of_peft),
    "peft": (False, dotted("base_model.model."), of_peft),
    "SimpleTuner": (False, flat("lycoris_"), of_kohya),
    "OneTrainer": (False, dotted("transformer."), of_kohya),
    "OneTrainer, older": (False, flat("lora_transformer_"), of_kohya),
    "ai-toolkit": (True, dotted("diffusion_model."), of_peft),
    "ComfyUI": (True, dotted("diffusion_model."), of_kohya),
    "original, bare": (True, dotted(""), of_kohya),
    "sd-scripts": (True, flat("lora_unet_"), of_kohya),
}


def changed(engine: Engine, path: Path) -> tuple[dict[str, torch.Tensor], list[str]]:
    """The parameters with the adapter, and what they generate."""
    there = catalog([model("x", HD)], a=path)
    painting = paint(engine, request(("a", WEIGHT), model="x", guidance=1.0, steps=1), there)
    assert {notice.code for notice in painting.warnings} <= {"adapter.no_scale"}
    held = resident(engine)
    held.wake(lambda: None, "transformer", "text_encoder")
    parameters = {
        f"{network}.{name}": tensor.clone()
        for network in ("transformer", "text_encoder")
        for name, tensor in held.parts[network].module.named_parameters()
    }
    return parameters, digests(painting)


def check(found: dict[str, torch.Tensor], weights: dict[str, torch.Tensor], pairs: Pairs) -> None:
    for name, base in weights.items():
        wanted = base
        if two := pairs.get(name.removesuffix(".weight")):
            down, up = two
            wanted = base + WEIGHT * (ALPHA / RANK) * (up @ down)
            assert (wanted - base).abs().max() > 0.01
        assert torch.allclose(found[f"transformer.{name}"], wanted, atol=1e-5), name


@pytest.mark.parametrize("program", mostly_long(SPELLINGS, usual=["diffusers", "sd-scripts"]))
def test_every_spelling_gives_the_defined_weights(
    painter: Engine,
    tmp_path: Path,
    weights: dict[str, torch.Tensor],
    pairs: Pairs,
    program: str,
) -> None:
    original, spelled, write = SPELLINGS[program]
    tensors: dict[str, Any] = {}
    for name, (down, up) in (originals(pairs) if original else pairs).items():
        tensors |= write(spelled(name), down, up)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    check(found, weights, pairs)


@pytest.mark.long
def test_a_fused_file_and_a_split_one_give_the_same_bytes(
    painter: Engine, tmp_path: Path, pairs: Pairs
) -> None:
    images = []
    for number, given in enumerate((pairs, originals(pairs))):
        tensors: dict[str, Any] = {}
        for name, (down, up) in given.items():
            tensors |= of_kohya(f"diffusion_model.{name}", down, up)
        images.append(changed(painter, save(tmp_path / f"{number}.safetensors", tensors))[1])
    assert images[0] == images[1]
    bare = paint(painter, request(model="x", guidance=1.0, steps=1), catalog([model("x", HD)]))
    assert digests(bare) != images[0]


def test_a_kronecker_product_of_matrices_of_different_heights_is_cut_by_its_rows(
    painter: Engine, tmp_path: Path, weights: dict[str, torch.Tensor]
) -> None:
    base = authors(weights)["single_blocks.1.linear1.weight"]
    first = torch.randn(8, 4, generator=torch.Generator().manual_seed(1))
    shape = (base.shape[0] // 8, base.shape[1] // 4)
    second = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    name = "diffusion_model.single_blocks.1.linear1"
    tensors = {f"{name}.lokr_w1": first, f"{name}.lokr_w2": second}
    tensors[f"{name}.alpha"] = torch.tensor(1.0)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    wanted = base + WEIGHT * torch.kron(first, second)
    one = "transformer.single_transformer_blocks.1."
    parts = [found[f"{one}{x}.weight"] for x in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")]
    assert torch.allclose(torch.cat(parts), wanted, atol=1e-5)


OF_T5 = ("encoder.block.0.layer.0.SelfAttention.q", "encoder.block.2.layer.1.DenseReluDense.wi_1")


@pytest.mark.parametrize(
    "spelled",
    mostly_long(
        [
            flat("lora_te_"),
            flat("lora_te1_"),
            dotted("text_encoder."),
            dotted("text_encoders.t5xxl.transformer."),
        ],
        usual=1,
    ),
)
def test_t5_is_changed_as_well(
    painter: Engine, folders: Path, tmp_path: Path, spelled: Callable[[str], str]
) -> None:
    own = stored(folders / HD, "text_encoder")
    tensors: dict[str, Any] = {}
    wanted: dict[str, torch.Tensor] = {}
    for number, path in enumerate(OF_T5):
        base = own[f"{path}.weight"]
        down, up = pair(tuple(base.shape), RANK, number)
        tensors |= of_kohya(spelled(path), down, up)
        wanted[path] = base + WEIGHT * (ALPHA / RANK) * (up @ down)
    found, _ = changed(painter, save(tmp_path / "a.safetensors", tensors))
    for path, weight in wanted.items():
        assert torch.allclose(found[f"text_encoder.{path}.weight"], weight, atol=1e-5)
