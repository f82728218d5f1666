"""Requests, catalogs and tiny files of every kind that the engine may get."""

import hashlib
import io
import json
import random
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import PIL.Image

from bot.engine import Engine
from bot.order import Order, order_of
from bot.painting import Painting
from bot.progress import Progress
from bot.request import AdapterUse, GenerationRequest
from catalog import (
    AdapterEntry,
    Catalog,
    ControlNets,
    DetectorEntry,
    ModelEntry,
    ReferenceEntry,
)
from catalog.families import DEFAULT

TINY = "tiny"

QUERY = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_q"
OUT = "down_blocks.1.attentions.0.transformer_blocks.0.attn1.to_out.0"
CONTEXT = "up_blocks.0.attentions.1.transformer_blocks.0.attn2.to_k"
CONVOLUTION = "down_blocks.2.resnets.0.conv1"
SHAPES = {QUERY: (64, 64), OUT: (64, 64), CONTEXT: (96, 80), CONVOLUTION: (96, 64, 3, 3)}
"""Modules of the tiny UNet that the LoRAs below change."""
TEXT_WIDTHS = {"te1": 32, "te2": 48}


def text_shapes(width: int) -> dict[str, tuple[int, int]]:
    """Modules of a text encoder that the LoRAs below change."""
    return {
        "text_model.encoder.layers.1.self_attn.q_proj": (width, width),
        "text_model.encoder.layers.1.self_attn.out_proj": (width, width),
        "text_model.encoder.layers.2.mlp.fc1": (4 * width, width),
    }


Pair = tuple[Any, Any]


def build_models(folder: Path) -> None:
    from tests.engine.families.sdxl import tiny_model

    tiny_model.build(folder / TINY)
    tiny_model.build(folder / "other", seed=7)


def model(key: str, path: str, **fields: Any) -> ModelEntry:
    return ModelEntry(key=key, name=key, path=path, size=(64, 64), min_side=64, **fields)


def catalog(
    models: Iterable[ModelEntry] = (),
    reference: ReferenceEntry | None = None,
    controlnets: ControlNets | None = None,
    detector: DetectorEntry | None = None,
    **adapters: Path | str | AdapterEntry,
) -> Catalog:
    """A catalog of `demo`, `other`, `models`, and adapters by key."""
    entries = [model("demo", TINY), model("other", "other"), *models]
    loras = {
        key: path
        if isinstance(path, AdapterEntry)
        else AdapterEntry(key=key, name=key, path=str(path))
        for key, path in adapters.items()
    }
    references = {DEFAULT.key: reference} if reference else {}
    return Catalog(
        {entry.key: entry for entry in entries},
        loras,
        "demo",
        references=references,
        controlnets=controlnets or ControlNets(),
        detector=detector,
    )


def request(*adapters: tuple[str, float], **fields: Any) -> GenerationRequest:
    """Two steps at 64×64: some 50 ms."""
    defaults: dict[str, Any] = {
        "prompt": "a fox in the snow",
        "negative": "",
        "model": "demo",
        "adapters": tuple(AdapterUse(key, weight) for key, weight in adapters),
        "steps": 2,
        "guidance": 5.0,
        "seed": 11,
        "width": 64,
        "height": 64,
        "scheduler": "Euler",
    }
    return GenerationRequest(**{**defaults, **fields})


def paint(
    engine: Engine,
    wanted: GenerationRequest,
    offered: Catalog | None = None,
    report: Callable[[Progress], None] = lambda _: None,
    check_stop: Callable[[], None] = lambda: None,
) -> Painting:
    return engine.paint(ordered(wanted, offered), report, check_stop)


KEPT: dict[str, bytes] = {}
"""Input images by sha256."""


def ordered(wanted: GenerationRequest, offered: Catalog | None = None) -> Order:
    """The order that an engine gets for `wanted`."""

    def kept(sha256: str) -> bytes:
        try:
            return KEPT[sha256]
        except KeyError:
            raise FileNotFoundError(sha256) from None

    return order_of(wanted, offered or catalog(), kept)


def resident(engine: Engine) -> Any:
    """The model that is loaded in the engine."""
    pipeline: Any = engine._pipeline
    return pipeline._residency.resident


def digests(painting: Painting) -> list[str]:
    return [image.pixels_sha256 for image in painting.images]


def pair(shape: tuple[int, ...], rank: int = 4, seed: int = 0, size: float = 0.3) -> Pair:
    """(down, up) of a LoRA for a weight of `shape`, strong enough to change every pixel."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    out, *rest = shape
    down = torch.randn(rank, *rest, generator=generator) * size
    up = torch.randn(out, rank, *(1 for _ in rest[1:]), generator=generator) * size
    return down, up


def save(path: Path, tensors: Mapping[str, Any], metadata: dict[str, str] | None = None) -> Path:
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, metadata)
    return path


def kohya(name: str, shape: tuple[int, ...], alpha: float = 2.0, **options: Any) -> dict[str, Any]:
    """The three tensors that kohya's trainer writes for one module."""
    import torch

    down, up = pair(shape, **options)
    return {
        f"{name}.lora_down.weight": down,
        f"{name}.lora_up.weight": up,
        f"{name}.alpha": torch.tensor(alpha),
    }


def kohya_lora(path: Path, *, text: bool = True, seed: int = 0, **options: Any) -> Path:
    """As kohya's trainer writes it for SDXL with a diffusers UNet."""
    tensors: dict[str, Any] = {}
    for number, (module, shape) in enumerate(SHAPES.items()):
        name = f"lora_unet_{module.replace('.', '_')}"
        tensors |= kohya(name, shape, seed=seed + number, **options)
    for encoder, width in TEXT_WIDTHS.items() if text else ():
        for module, shape in text_shapes(width).items():
            name = f"lora_{encoder}_{module.replace('.', '_')}"
            tensors |= kohya(name, shape, seed=seed + len(name), **options)
    return save(path, tensors)


def picture(size: tuple[int, int] = (64, 64), seed: int = 0) -> str:
    """Store an image of soft random colours in KEPT; returns its sha256."""
    chance = random.Random(seed)
    rough = PIL.Image.new("RGB", (4, 4))
    rough.putdata([tuple(chance.randrange(256) for _ in range(3)) for _ in range(16)])
    file = io.BytesIO()
    rough.resize(size, PIL.Image.Resampling.BICUBIC).save(file, "PNG")
    sha256 = hashlib.sha256(file.getvalue()).hexdigest()
    KEPT[sha256] = file.getvalue()
    return sha256


def opened(sha256: str) -> PIL.Image.Image:
    """A stored image."""
    with PIL.Image.open(io.BytesIO(KEPT[sha256])) as image:
        return image.convert("RGB")


def single_file(
    folder: Path,
    target: Path,
    vae_prefix: str = "first_stage_model.",
    markers: Iterable[str] = (),
) -> Path:
    """The pipeline in `folder` as a single checkpoint with the names of Stability's own code.

    It is of SDXL or of SD 1.5.

    markers: names of empty tensors that tell how it was trained.
    """
    from safetensors.torch import load_file

    tensors: dict[str, Any] = {}
    unet = json.loads((folder / "unet" / "config.json").read_text(encoding="utf-8"))
    for name, tensor in load_file(folder / "unet/diffusion_pytorch_model.safetensors").items():
        module, _, kind = name.rpartition(".")
        tensors[f"model.diffusion_model.{_sgm(module, unet)}.{kind}"] = tensor
    for name, tensor in load_file(folder / "vae/diffusion_pytorch_model.safetensors").items():
        tensors[f"{vae_prefix}{_ldm_vae(name)}"] = _as_convolution(name, tensor)
    two = (folder / "text_encoder_2").exists()
    first = "conditioner.embedders.0" if two else "cond_stage_model"
    for name, tensor in load_file(folder / "text_encoder/model.safetensors").items():
        bare = name.removeprefix("text_model.")
        tensors[f"{first}.transformer.text_model.{bare}"] = tensor
    if two:
        second = load_file(folder / "text_encoder_2/model.safetensors")
        tensors |= _openclip(second, "conditioner.embedders.1.model.")
    tensors |= {name: next(iter(tensors.values())).new_empty(0) for name in markers}
    return save(target, tensors)


def _sgm(module: str, unet: Mapping[str, Any]) -> str:
    from bot.engine.families.unet.adapter_names import Blocks, sgm_path

    attentive = tuple("CrossAttn" in kind for kind in unet["up_block_types"])
    return sgm_path(module, Blocks(unet["layers_per_block"], attentive))


_VAE_NAMES = (
    ("decoder.up_blocks.3.", "decoder.up.0."),
    ("decoder.up_blocks.2.", "decoder.up.1."),
    ("decoder.up_blocks.1.", "decoder.up.2."),
    ("decoder.up_blocks.0.", "decoder.up.3."),
    ("encoder.down_blocks.", "encoder.down."),
    ("resnets.", "block."),
    ("mid_block.block.0.", "mid.block_1."),
    ("mid_block.block.1.", "mid.block_2."),
    ("mid_block.attentions.0.", "mid.attn_1."),
    ("downsamplers.0.", "downsample."),
    ("upsamplers.0.", "upsample."),
    ("conv_shortcut", "nin_shortcut"),
    ("conv_norm_out", "norm_out"),
    ("group_norm", "norm"),
    ("to_q.", "q."),
    ("to_k.", "k."),
    ("to_v.", "v."),
    ("to_out.0.", "proj_out."),
)


def _ldm_vae(name: str) -> str:
    for ours, theirs in _VAE_NAMES:
        name = name.replace(ours, theirs)
    return name


def _as_convolution(name: str, tensor: Any) -> Any:
    return tensor[:, :, None, None] if "attentions" in name and tensor.ndim == 2 else tensor


_OPENCLIP_NAMES = (
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm", "ln_final"),
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
)


def _openclip(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    import torch

    result: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if "q_proj" in name:
            three = [tensors[name.replace("q_proj", f"{x}_proj")] for x in "qkv"]
            kind = name.rpartition(".")[2]
            base = _renamed(name).replace(f"self_attn.q_proj.{kind}", f"attn.in_proj_{kind}")
            result[prefix + base] = torch.cat(three)
        elif "k_proj" in name or "v_proj" in name:
            continue
        elif name == "text_projection.weight":
            result[f"{prefix}text_projection"] = tensor.T
        else:
            result[prefix + _renamed(name)] = tensor
    return result


def _renamed(name: str) -> str:
    for ours, theirs in _OPENCLIP_NAMES:
        name = name.replace(ours, theirs)
    return name


def plain_pipeline(folder: Path) -> Any:
    """The model of a diffusers folder, in plain diffusers."""
    from diffusers import StableDiffusionXLPipeline

    pipeline = StableDiffusionXLPipeline.from_pretrained(
        folder, use_safetensors=True, local_files_only=True
    )
    pipeline.set_progress_bar_config(disable=True)
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        realign(getattr(pipeline, name))
    return pipeline


def realign(network: Any) -> None:
    """In a mapped file, tensors may be unaligned, and the CPU's kernels then round differently."""
    import torch

    for module in network.modules():
        for leaf, parameter in module._parameters.items():
            if parameter is not None:
                clone = torch.nn.Parameter(parameter.detach().clone(), requires_grad=False)
                module._parameters[leaf] = clone


def configs_only(folder: Path, target: Path) -> Path:
    """A copy of a pipeline's folder without its weights."""
    return Path(shutil.copytree(folder, target, ignore=shutil.ignore_patterns("*.safetensors")))
