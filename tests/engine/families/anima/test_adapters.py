"""One adapter changes the same weights in the same way, whichever program wrote its file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from bot.engine import Engine
from bot.request import AdapterUse
from tests.engine.factories import catalog, digests, model, paint, request, resident, save
from tests.engine.families.anima.conftest import BASE
from tests.engine.families.anima.files import authors_name
from tests.engine.families.flux2.files import stored
from tests.engine.patches import make
from tests.engine.patches.formulas import expected_delta

pytestmark = pytest.mark.long

RANK, ALPHA, WEIGHT = 4, 3.0, 0.7
Spell = Callable[[str], str]

ATTENTION: Final = [f"to_{each}" for each in "qkv"] + ["to_out.0"]
MODULES: Final = {
    "transformer": (
        *(f"transformer_blocks.{n}.attn{n + 1}.{each}" for n in range(2) for each in ATTENTION),
        *("transformer_blocks.0.ff.net.0.proj", "transformer_blocks.1.ff.net.2"),
        *("transformer_blocks.1.norm2.linear_1", "transformer_blocks.0.norm3.linear_2"),
        *("patch_embed.proj", "time_embed.t_embedder.linear_1", "norm_out.linear_2", "proj_out"),
    ),
    "text_conditioner": (
        *("blocks.0.self_attn.q_proj", "blocks.1.cross_attn.k_proj", "blocks.1.cross_attn.o_proj"),
        *("blocks.0.mlp.0", "blocks.1.mlp.2", "out_proj"),
    ),
    "text_encoder": ("layers.0.self_attn.q_proj", "layers.2.mlp.down_proj"),
}


def _flat(prefix: str) -> Spell:
    return lambda path: prefix + path.replace(".", "_")


def _dotted(prefix: str) -> Spell:
    return lambda path: prefix + path


def _of(transformer: Spell, conditioner: Spell, encoder: Spell) -> Mapping[str, Spell]:
    return dict(zip(MODULES, (transformer, conditioner, encoder), strict=True))


def _authors(spell: Spell) -> Spell:
    return lambda path: spell(authors_name(path))


_COMFY = _dotted("text_encoders.qwen3_06b.transformer.model.")
SPELLINGS: Final[dict[str, Mapping[str, Spell]]] = {
    "kohya": _of(_authors(_flat("lora_unet_")), _flat("lora_unet_llm_adapter_"), _flat("lora_te_")),
    "kohya, converted for ComfyUI": _of(
        _authors(_dotted("diffusion_model.")), _dotted("diffusion_model.llm_adapter."), _COMFY
    ),
    "diffusers": _of(
        _dotted("transformer."), _dotted("text_conditioner."), _dotted("text_encoder.")
    ),
    "OneTrainer": _of(
        _dotted("transformer."), _dotted("transformer.llm_adapter."), _flat("lora_te1_")
    ),
    "LyCORIS": _of(
        _authors(_flat("lycoris_")), _flat("lycoris_llm_adapter_"), _flat("lora_te1_model_")
    ),
    "LyCORIS, around diffusers": _of(
        _flat("lycoris_"), _flat("lycoris_text_conditioner_"), _flat("lora_te_model_")
    ),
    "SD.Next": _of(
        _authors(_dotted("model.diffusion_model.")),
        _flat("lora_llm_adapter_"),
        _dotted("text_encoders.transformer.model."),
    ),
    "bare": _of(_authors(_dotted("")), _dotted("llm_adapter."), _dotted("text_encoder.model.")),
}
KINDS: Final = ("LoRA", "DoRA", "DoRA, columns", "LoHa", "LoKr", "LoKr, both factored")


@pytest.fixture(scope="module")
def weights(folders: Path) -> dict[str, dict[str, torch.Tensor]]:
    return {part: stored(folders / BASE, part) for part in MODULES}


def made(
    kind: str, weights: Mapping[str, Mapping[str, torch.Tensor]]
) -> dict[tuple[str, str], dict[str, torch.Tensor]]:
    """The tensors of each module: part, path → by the last part of their names."""
    options: dict[str, Any] = {"rank": RANK, "alpha": ALPHA}
    paths = [(part, path) for part, those in MODULES.items() for path in those]
    return {
        (part, path): make.module(
            kind, tuple(weights[part][f"{path}.weight"].shape), seed=number, **options
        )
        for number, (part, path) in enumerate(paths)
    }


def written(
    path: Path, adapter: Mapping[tuple[str, str], Mapping[str, torch.Tensor]], program: str
) -> Path:
    spelled = SPELLINGS[program]
    return save(
        path,
        {
            f"{spelled[part](module)}.{leaf}": tensor
            for (part, module), tensors in adapter.items()
            for leaf, tensor in tensors.items()
        },
    )


def changed(
    engine: Engine, path: Path, text_weight: float | None = None
) -> tuple[dict[str, dict[str, torch.Tensor]], list[str]]:
    """The parameters of each network with the adapter, and what it generates."""
    there = catalog([model("x", BASE)], a=path)
    uses = (AdapterUse("a", WEIGHT, text_weight),)
    wanted = request(model="x", guidance=1.0, steps=1, adapters=uses)
    painting = paint(engine, wanted, there)
    assert not painting.warnings
    found = {
        part: {n: t.clone() for n, t in resident(engine).network(part).named_parameters()}
        for part in MODULES
    }
    return found, digests(painting)


def check(
    found: Mapping[str, Mapping[str, torch.Tensor]],
    weights: Mapping[str, Mapping[str, torch.Tensor]],
    adapter: Mapping[tuple[str, str], Mapping[str, torch.Tensor]],
    kind: str,
    text_weight: float = WEIGHT,
) -> None:
    """That the parameters are those of the dense definition, and no other has changed."""
    for part in MODULES:
        assert found[part].keys() == weights[part].keys()
        weight = WEIGHT if part == "transformer" else text_weight
        for name, base in weights[part].items():
            wanted = base.double()
            if tensors := adapter.get((part, name.removesuffix(".weight"))):
                delta = expected_delta(kind, tensors, wanted)
                assert delta.abs().max() > 0.01
                wanted = wanted + weight * delta
            assert torch.allclose(found[part][name].double(), wanted, atol=1e-5), (part, name)


@pytest.mark.parametrize("program", SPELLINGS)
def test_every_spelling_gives_the_defined_weights(
    painter: Engine,
    tmp_path: Path,
    weights: dict[str, dict[str, torch.Tensor]],
    program: str,
) -> None:
    adapter = made("LoRA", weights)
    found, _ = changed(painter, written(tmp_path / "a.safetensors", adapter, program))
    check(found, weights, adapter, "LoRA")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_does_as_it_is_defined_in_every_spelling(
    painter: Engine,
    tmp_path: Path,
    weights: dict[str, dict[str, torch.Tensor]],
    kind: str,
) -> None:
    adapter, images = made(kind, weights), set()
    for number, program in enumerate(("kohya", "kohya, converted for ComfyUI", "diffusers")):
        path = written(tmp_path / f"{number}.safetensors", adapter, program)
        found, painted = changed(painter, path)
        check(found, weights, adapter, kind)
        images.add(tuple(painted))
    assert len(images) == 1


def test_the_weight_for_text_counts_for_both_encoders(
    painter: Engine, tmp_path: Path, weights: dict[str, dict[str, torch.Tensor]]
) -> None:
    adapter = made("LoRA", weights)
    path = written(tmp_path / "a.safetensors", adapter, "kohya")
    found, _ = changed(painter, path, text_weight=0.2)
    check(found, weights, adapter, "LoRA", text_weight=0.2)


@pytest.mark.parametrize("part", MODULES)
def test_each_network_changes_the_image_and_leaves_nothing_behind(
    painter: Engine, tmp_path: Path, weights: dict[str, dict[str, torch.Tensor]], part: str
) -> None:
    there = catalog([model("x", BASE)])
    asked = request(model="x", guidance=1.0, steps=1)
    before = digests(paint(painter, asked, there))
    only = {key: tensors for key, tensors in made("LoRA", weights).items() if key[0] == part}
    _, painted = changed(painter, written(tmp_path / "a.safetensors", only, "kohya"))
    assert painted != before
    assert digests(paint(painter, asked, there)) == before
