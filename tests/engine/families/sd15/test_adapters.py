"""LoRAs for SD 1.5: as in diffusers, in every spelling, and without a trace."""

import json
import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot.engine import Engine
from bot.errors import JobFailed
from bot.request import AdapterUse
from catalog.families.sd15 import SD15
from tests.engine.factories import digests, kohya, paint, pair, resident, save
from tests.engine.families.sd15.factories import TINY, catalog, plain_pipeline, request
from tests.engine.images import farthest
from tests.parameters import mostly_long

pytestmark = pytest.mark.long

BLOCK = "down_blocks.1.attentions.0.transformer_blocks.0"
UNET = {
    f"{BLOCK}.attn1.to_q": (48, 48),
    f"{BLOCK}.attn1.to_out.0": (48, 48),
    "up_blocks.1.attentions.1.transformer_blocks.0.attn2.to_k": (64, 32),
    "down_blocks.2.resnets.0.conv1": (64, 48, 3, 3),
    "up_blocks.0.upsamplers.0.conv": (64, 64, 3, 3),
    "down_blocks.0.attentions.0.proj_in": (32, 32, 1, 1),
}
STABILITY = dict(
    zip(
        UNET,
        (
            "input_blocks.4.1.transformer_blocks.0.attn1.to_q",
            "input_blocks.4.1.transformer_blocks.0.attn1.to_out.0",
            "output_blocks.4.1.transformer_blocks.0.attn2.to_k",
            "input_blocks.7.0.in_layers.2",
            "output_blocks.2.1.conv",
            "input_blocks.1.1.proj_in",
        ),
        strict=True,
    )
)
TEXT = {
    "text_model.encoder.layers.1.self_attn.q_proj": (32, 32),
    "text_model.encoder.layers.2.self_attn.out_proj": (32, 32),
    "text_model.encoder.layers.2.mlp.fc1": (128, 32),
}
NETWORKS = ("unet", "text_encoder", "vae")


def lora(
    path: Path,
    named: Callable[[str, str], str],
    *,
    peft: bool = False,
    seed: int = 0,
    only: str = "",
) -> Path:
    """A LoRA of one set of numbers. named: part and path → the module's name in the file."""
    tensors: dict[str, Any] = {}
    modules = [*(("unet", *each) for each in UNET.items())]
    modules += [*(("text_encoder", *each) for each in TEXT.items())]
    for number, (part, module, shape) in enumerate(modules):
        if only not in module:
            continue
        name = named(part, module)
        if peft:
            down, up = pair(shape, seed=seed + number)
            tensors |= {f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up}
        else:
            tensors |= kohya(name, shape, alpha=4.0, seed=seed + number)
    return save(path, tensors)


def underscored(prefix: str, path: str) -> str:
    return f"{prefix}_{path.replace('.', '_')}"


def kohya_name(part: str, path: str) -> str:
    return underscored("lora_unet" if part == "unet" else "lora_te", path)


def bare(path: str) -> str:
    return path.removeprefix("text_model.")


NAMES: dict[str, Callable[[str, str], str]] = {
    "kohya": kohya_name,
    "kohya, Stability": lambda part, path: underscored(
        *(("lora_unet", STABILITY[path]) if part == "unet" else ("lora_te1", path))
    ),
    "kohya, transformers 5": lambda part, path: kohya_name(part, bare(path)),
    "diffusers": lambda part, path: f"{part}.{path}",
    "diffusers, transformers 5": lambda part, path: f"{part}.{bare(path)}",
    "peft": lambda part, path: f"{part}.base_model.model.{path}",
    "ComfyUI": lambda part, path: (
        f"diffusion_model.{STABILITY[path]}"
        if part == "unet"
        else f"text_encoders.clip_l.transformer.{path}"
    ),
    "OneTrainer": lambda part, path: (
        f"unet.{STABILITY[path]}" if part == "unet" else f"clip_l.{path}"
    ),
    "LyCORIS": lambda part, path: underscored(
        *(("lycoris", path) if part == "unet" else ("lora_te", path))
    ),
    "checkpoint": lambda part, path: (
        f"model.diffusion_model.{STABILITY[path]}"
        if part == "unet"
        else f"cond_stage_model.transformer.{path}"
    ),
}


def bits(engine: Engine) -> dict[str, bytes]:
    """All weights of the model."""
    networks = [(name, resident(engine).network(name)) for name in NETWORKS]
    return {
        f"{part}.{name}": parameter.detach().numpy().tobytes()
        for part, module in networks
        for name, parameter in module.named_parameters()
    }


def with_adapters(engine: Engine, *chosen: tuple[Path, float]) -> dict[str, bytes]:
    """The weights of the model, with exactly these files."""
    from tests.engine.sets import set_adapters

    set_adapters(engine, chosen, SD15.adapter_bases)
    return bits(engine)


@pytest.fixture
def loaded(engine: Engine, sd15_dir: Path) -> Engine:
    """An engine with the model."""
    paint(engine, request(), catalog())
    return engine


def test_every_spelling_gives_the_same_weights(loaded: Engine, tmp_path: Path) -> None:
    pristine = with_adapters(loaded)
    changed = with_adapters(loaded, (lora(tmp_path / "a.safetensors", NAMES["kohya"]), 0.8))
    assert {name for name in pristine if changed[name] != pristine[name]} == {
        *(f"unet.{path}.weight" for path in UNET),
        *(f"text_encoder.{bare(path)}.weight" for path in TEXT),
    }
    for number, named in enumerate(NAMES.values()):
        for peft in (False, True):
            path = lora(tmp_path / f"{number}{peft}.safetensors", named, peft=peft)
            assert with_adapters(loaded, (path, 0.8)) == changed, (number, peft)
    with_adapters(loaded)


def processors(part: str, path: str) -> str:
    """diffusers before 0.22 had layers of LoRAs in the processors of attentions."""
    inner = path.replace(".attn1.", ".attn1.processor.").replace(".attn2.", ".attn2.processor.")
    inner = inner.replace("q_proj", "to_q").replace("out_proj", "to_out")
    return f"{part}.{inner.removesuffix('.0')}"


def test_the_old_names_of_processors_are_the_same_modules(loaded: Engine, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    today = lora(tmp_path / "a.safetensors", NAMES["diffusers"], peft=True, only="attn")
    names = {"lora_A": "down", "lora_B": "up"}
    tensors = {}
    for name, tensor in load_file(today).items():
        module, factor, _ = name.rsplit(".", 2)
        part, _, path = module.partition(".")
        tensors[f"{processors(part, path)}_lora.{names[factor]}.weight"] = tensor
    old = save(tmp_path / "old.safetensors", tensors)
    assert with_adapters(loaded, (old, 0.8)) == with_adapters(loaded, (today, 0.8))
    with_adapters(loaded)


UNREAD = ("kohya, Stability", "ComfyUI")
"""Names that diffusers does not read for SD 1.5; it gets the same numbers in others."""


@pytest.mark.parametrize(
    ("named", "peft"),
    mostly_long(
        [("kohya", False), ("kohya, Stability", False), ("diffusers", True), ("ComfyUI", False)],
        usual=1,
    ),
)
def test_paints_what_diffusers_paints_with_it(
    engine: Engine, sd15_dir: Path, tmp_path: Path, named: str, peft: bool
) -> None:
    import torch
    from diffusers import EulerDiscreteScheduler

    path = lora(tmp_path / "lora.safetensors", NAMES[named], peft=peft)
    theirs = path
    if named in UNREAD:
        theirs = lora(tmp_path / "theirs" / "lora.safetensors", NAMES["kohya"])
    offered = catalog(lora=path)
    painting = paint(engine, request(("lora", 0.7)), offered)
    plain = plain_pipeline(sd15_dir / TINY)
    plain.load_lora_weights(theirs.parent, weight_name=theirs.name, adapter_name="lora")
    plain.set_adapters("lora", 0.7)
    plain.scheduler = EulerDiscreteScheduler.from_config(plain.scheduler.config)
    expected = plain(
        "a fox in the snow",
        negative_prompt="",
        num_inference_steps=2,
        guidance_scale=5.0,
        width=64,
        height=64,
        generator=torch.Generator().manual_seed(11),
    ).images[0]
    assert painting.warnings == ()
    # peft multiplies by both matrices at every step; we add their product to the weight once.
    assert farthest(painting.images[0].image, expected) <= 1
    without = paint(engine, request(), catalog()).images[0].image
    assert farthest(painting.images[0].image, without) > 10


@pytest.mark.parametrize("count", mostly_long([20, 100], usual=1))
def test_no_bit_differs_after_many_sets(loaded: Engine, tmp_path: Path, count: int) -> None:
    pristine = with_adapters(loaded)
    files = [
        lora(tmp_path / f"{number}.safetensors", named, seed=20 * number)
        for number, named in enumerate(NAMES.values())
    ]
    chance, seen = random.Random(1), set()
    for _ in range(count):
        chosen = chance.sample(files, chance.randrange(1, 5))
        held = with_adapters(loaded, *((path, chance.uniform(-2, 2)) for path in chosen))
        seen.add(held[f"unet.{BLOCK}.attn1.to_q.weight"])
    assert len(seen) == count
    assert with_adapters(loaded) == pristine


@pytest.mark.parametrize(
    ("weight", "text_weight", "changed"), [(0.8, 0.0, {"unet"}), (0.0, 0.8, {"text_encoder"})]
)
def test_each_of_the_two_weights_reaches_its_own_networks(
    engine: Engine, tmp_path: Path, weight: float, text_weight: float, changed: set[str]
) -> None:
    offered = catalog(a=lora(tmp_path / "a.safetensors", NAMES["kohya"]))
    paint(engine, request(), offered)
    pristine = bits(engine)
    use = AdapterUse("a", weight, text_weight)
    paint(engine, replace(request(), adapters=(use,)), offered)
    held = bits(engine)
    assert {name.partition(".")[0] for name in held if held[name] != pristine[name]} == changed


def test_a_lora_for_sdxl_is_told_as_such(engine: Engine, tmp_path: Path) -> None:
    from bot.engine.families import FAMILIES
    from tests.engine.families.unet.true_models import sdxl
    from tests.engine.patches import make

    modules = make.usual_modules(FAMILIES["sdxl"].targets(sdxl()))
    path = make.file(tmp_path / "sdxl.safetensors", "LoRA", modules, rank=1)
    with pytest.raises(JobFailed) as failure:
        paint(engine, request(("a", 1.0)), catalog(a=path))
    assert failure.value.code == "adapter.other_base"
    assert failure.value.params["family"] == "SDXL"


def test_alphas_beside_the_tensors_count(loaded: Engine, tmp_path: Path) -> None:
    """diffusers keeps them in the file's metadata; half the alpha is half the weight."""
    from safetensors.torch import load_file

    full = lora(tmp_path / "full.safetensors", NAMES["diffusers"], peft=True)
    said = {f"{part}.{key}": n for part in NETWORKS[:2] for key, n in (("r", 4), ("lora_alpha", 2))}
    half = save(
        tmp_path / "half.safetensors",
        load_file(full),
        {"lora_adapter_metadata": json.dumps(said)},
    )
    assert with_adapters(loaded, (half, 1.0)) == with_adapters(loaded, (full, 0.5))
    with_adapters(loaded)


def test_the_recipe_repeats_it(engine: Engine, fresh: Engine, tmp_path: Path) -> None:
    offered = catalog(a=lora(tmp_path / "a.safetensors", NAMES["kohya"]))
    asked = request(("a", 0.6))
    one, other = (paint(each, asked, offered) for each in (engine, fresh))
    assert digests(one) == digests(other)
    assert one.recipe == other.recipe
