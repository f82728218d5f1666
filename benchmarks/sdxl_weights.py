"""Random weights in the architecture of SDXL base 1.0, its LoRAs, and a catalog with both.

The configurations are those that `stabilityai/stable-diffusion-xl-base-1.0` publishes, without the
values that equal the libraries' defaults. The names in the files are the published ones too:
`text_model.` before the text encoders' weights, `.fp16.` in the file names, kohya's in the LoRAs.
"""

import json
import math
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import torch
from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel
from safetensors.torch import save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from catalog.locate import BUILTINS_DIR
from tools.untrained.tokenizers import CLIP_VOCABULARY, write_clip

RANK: Final = 32
ALPHA: Final = 16.0
LORAS: Final = ("true-lora-a", "true-lora-b")
MODELS: Final = ("true-sdxl", "true-sdxl-other")
"""Catalog keys. The second model differs from the first in one text encoder."""
SEED: Final = 20_261_122


@dataclass(frozen=True, slots=True)
class Shape:
    """How wide and deep the model is. The number of attention heads is always SDXL's.

    narrow: what SDXL's widths are divided by. side: pixels of the image it is made for.
    depth: transformer blocks per attention block at each resolution. text_depth: layers of each
        text encoder.
    """

    name: str
    narrow: int
    side: int
    depth: tuple[int, int, int] = (1, 2, 10)
    text_depth: tuple[int, int] = (12, 32)

    def width(self, of_sdxl: int) -> int:
        return of_sdxl // self.narrow

    def parts(self) -> dict[str, Callable[[], Any]]:
        """Name of each part → builds its module, without weights on the meta device."""
        return {
            "text_encoder": lambda: CLIPTextModel(
                self._text("quick_gelu", 768, 12, self.text_depth[0])
            ),
            "text_encoder_2": lambda: CLIPTextModelWithProjection(
                self._text("gelu", 1280, 20, self.text_depth[1])
            ),
            "unet": self._unet,
            "vae": self._vae,
        }

    def _text(self, activation: str, width: int, heads: int, layers: int) -> Any:
        return CLIPTextConfig(
            vocab_size=CLIP_VOCABULARY,
            hidden_act=activation,
            hidden_size=self.width(width),
            intermediate_size=self.width(4 * width),
            projection_dim=self.width(width),
            num_attention_heads=heads,
            num_hidden_layers=layers,
            max_position_embeddings=77,
            bos_token_id=0,  # as published; with an EOS id of 2, CLIP pools at the highest token id
            eos_token_id=2,
            pad_token_id=1,
        )

    def _unet(self) -> Any:
        return UNet2DConditionModel(
            sample_size=self.side // 8,
            block_out_channels=tuple(self.width(width) for width in (320, 640, 1280)),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=self.depth,
            attention_head_dim=(5, 10, 20),
            norm_num_groups=32 if self.narrow == 1 else 8,
            cross_attention_dim=self.width(768) + self.width(1280),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=self.width(256),
            projection_class_embeddings_input_dim=self.width(1280) + 6 * self.width(256),
        )

    def _vae(self) -> Any:
        return AutoencoderKL(
            block_out_channels=tuple(self.width(width) for width in (128, 256, 512, 512)),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            layers_per_block=2,
            latent_channels=4,
            norm_num_groups=32 if self.narrow == 1 else 8,
            sample_size=self.side,
            scaling_factor=0.13025,
            force_upcast=True,
        )

    def adapted(self) -> dict[str, tuple[int, int]]:
        """Name of each module in a kohya LoRA of SDXL → its weight's shape (out, in)."""
        modules: dict[str, tuple[int, int]] = {}
        wide, wider = self.width(640), self.width(1280)
        context = self.width(768) + self.width(1280)
        _, middle, deep = self.depth
        places = {f"input_blocks_{n}_1": (wide, middle) for n in (4, 5)}
        places |= {f"input_blocks_{n}_1": (wider, deep) for n in (7, 8)}
        places |= {"middle_block_1": (wider, deep)}
        places |= {f"output_blocks_{n}_1": (wider, deep) for n in (0, 1, 2)}
        places |= {f"output_blocks_{n}_1": (wide, middle) for n in (3, 4, 5)}
        for place, (width, depth) in places.items():
            outer = f"lora_unet_{place}"
            modules |= {f"{outer}_proj_{end}": (width, width) for end in ("in", "out")}
            for layer in range(depth):
                block = f"{outer}_transformer_blocks_{layer}"
                for attention, read in (("attn1", width), ("attn2", context)):
                    for kind in ("to_q", "to_k", "to_v", "to_out_0"):
                        reads = read if kind in {"to_k", "to_v"} else width
                        modules[f"{block}_{attention}_{kind}"] = (width, reads)
                modules[f"{block}_ff_net_0_proj"] = (8 * width, width)
                modules[f"{block}_ff_net_2"] = (width, 4 * width)
        first, second = self.text_depth
        for encoder, width, depth in (("te1", self.width(768), first), ("te2", wider, second)):
            for layer in range(depth):
                block = f"lora_{encoder}_text_model_encoder_layers_{layer}"
                for kind in ("q_proj", "k_proj", "v_proj", "out_proj"):
                    modules[f"{block}_self_attn_{kind}"] = (width, width)
                modules[f"{block}_mlp_fc1"] = (4 * width, width)
                modules[f"{block}_mlp_fc2"] = (width, 4 * width)
        return modules


TRUE: Final = Shape("sdxl-true-v1", narrow=1, side=1024)
QUICK: Final = Shape("sdxl-quick-v1", narrow=8, side=128)


def on_meta(make: Callable[[], Any]) -> Any:
    """Build the module with the shapes of its weights but no memory for them."""
    with torch.device("meta"):
        return make()


def write_model(folder: Path, shape: Shape, seed: int = SEED, device: str = "cpu") -> None:
    """Write the diffusers folder, completely or not at all; keep an existing one.

    device: where the numbers are drawn; each kind of device draws others from one seed.
    """
    if folder.is_dir():
        return
    draft = folder.with_name(f"{folder.name}.{uuid4().hex[:8]}.draft")
    draft.mkdir(parents=True)
    try:
        demo = BUILTINS_DIR / "flat"
        for name in ("tokenizer", "tokenizer_2"):
            write_clip(draft / name, name)
        shutil.copy(demo / "model_index.json", draft)
        scheduler = EulerDiscreteScheduler(
            beta_start=0.00085,
            beta_end=0.012,
            beta_schedule="scaled_linear",
            timestep_spacing="leading",
            steps_offset=1,
        )
        scheduler.save_pretrained(draft / "scheduler")
        for number, (name, make) in enumerate(shape.parts().items(), seed):
            _write_part(draft / name, make, number, device)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_other(folder: Path, original: Path, shape: Shape) -> None:
    """Write the model of `original` with another text encoder; all else is hard links."""
    if folder.is_dir():
        return
    draft = folder.with_name(f"{folder.name}.{uuid4().hex[:8]}.draft")
    try:
        shutil.copytree(
            original, draft, copy_function=os.link, ignore=shutil.ignore_patterns("text_encoder")
        )
        _write_part(draft / "text_encoder", shape.parts()["text_encoder"], SEED + 100)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def write_lora(file: Path, shape: Shape, seed: int, rank: int = RANK, device: str = "cpu") -> None:
    """Write a LoRA as kohya's trainer saves it, which changes every module a little.

    device: as for `write_model`.
    """
    if file.is_file():
        return
    generator = torch.Generator(device).manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for name, (out, read) in shape.adapted().items():
        tensors[f"{name}.alpha"] = torch.tensor(ALPHA, dtype=torch.float16)
        tensors[f"{name}.lora_down.weight"] = _uniform((rank, read), read**-0.5, generator)
        tensors[f"{name}.lora_up.weight"] = _uniform((out, rank), 0.02, generator)
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    save_file(tensors, draft, metadata={"ss_network_module": "networks.lora"})
    draft.rename(file)


def write_bare_lora(file: Path, shape: Shape, rank: int = RANK) -> None:
    """Write a sparse file with the header of such a LoRA and the size of one, but no data."""
    header: dict[str, Any] = {"__metadata__": {"ss_network_module": "networks.lora"}}
    end = 0
    for name, (out, read) in shape.adapted().items():
        sizes = {"alpha": (), "lora_down.weight": (rank, read), "lora_up.weight": (out, rank)}
        for role, size in sizes.items():
            begin, end = end, end + 2 * math.prod(size)
            offsets = [begin, end]
            header[f"{name}.{role}"] = {"dtype": "F16", "shape": size, "data_offsets": offsets}
    text = json.dumps(header, separators=(",", ":")).encode()
    file.write_bytes(len(text).to_bytes(8, "little") + text)
    os.truncate(file, 8 + len(text) + end)


REFERENCE_WEIGHTS: Final = "ip-adapter.safetensors"
REFERENCE_ENCODER: Final = "image_encoder"


def write_reference(folder: Path, shape: Shape, device: str = "cpu") -> None:
    """Write an IP-Adapter as `h94/IP-Adapter` has it for SDXL and ViT-H, with its encoder.

    device: as for `write_model`.
    """
    if (folder / REFERENCE_WEIGHTS).is_file():
        return
    config = CLIPVisionConfig(
        hidden_size=shape.width(1280),
        intermediate_size=shape.width(5120),
        num_hidden_layers=32,
        num_attention_heads=16,
        image_size=224,
        patch_size=14,
        projection_dim=shape.width(1024),
        hidden_act="gelu",
    )
    encoder = on_meta(lambda: CLIPVisionModelWithProjection(config))
    generator = torch.Generator(device).manual_seed(SEED + 500)
    shapes = {name: tuple(parameter.shape) for name, parameter in encoder.named_parameters()}
    tensors = {name: _uniform(size, 0.02, generator) for name, size in shapes.items()}
    config.save_pretrained(folder / REFERENCE_ENCODER)
    save_file(tensors, folder / REFERENCE_ENCODER / "model.safetensors", metadata={"format": "pt"})

    context = shape.width(768) + shape.width(1280)
    shapes = {
        "image_proj.proj.weight": (4 * context, shape.width(1024)),
        "image_proj.proj.bias": (4 * context,),
        "image_proj.norm.weight": (context,),
        "image_proj.norm.bias": (context,),
    }
    unet = on_meta(shape.parts()["unet"])
    for number, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            inner = unet.get_submodule(name.removesuffix(".processor")).to_k.weight.shape[0]
            for side in ("k", "v"):
                shapes[f"ip_adapter.{number}.to_{side}_ip.weight"] = (inner, context)
    save_file(
        {name: _uniform(size, 0.02, generator) for name, size in shapes.items()},
        folder / REFERENCE_WEIGHTS,
    )


def write_catalog(folder: Path, weights: Path, shape: Shape) -> None:
    """Write a catalog of both models and both LoRAs. weights: the folder that they are in."""
    folder.mkdir(parents=True, exist_ok=True)
    side = shape.side
    models = [f'default = "{MODELS[0]}"\n']
    models += [
        f"[models.{key}]\n"
        f'name = "{key} (random weights)"\n'
        f"path = {json.dumps(str(model_folder(weights, shape, key)))}\n"
        f"size = [{side}, {side}]\n"
        f"min_side = {side // 2}\n"
        f"max_side = {side * 3 // 2}\n"
        "steps = {min = 1, default = 30, max = 100}\n"
        "guidance = {min = 1.0, default = 7.5, max = 30.0}\n"
        for key in MODELS
    ]
    loras = [
        f'[loras.{key}]\nname = "{key}"\npath = {json.dumps(str(lora_file(weights, shape, key)))}\n'
        for key in LORAS
    ]
    (folder / "models.toml").write_text("\n".join(models), encoding="utf-8")
    (folder / "loras.toml").write_text("\n".join(loras), encoding="utf-8")


def model_folder(weights: Path, shape: Shape, key: str) -> Path:
    return weights / shape.name / key


def lora_file(weights: Path, shape: Shape, key: str) -> Path:
    return weights / shape.name / f"{key}.safetensors"


def _write_part(folder: Path, make: Callable[[], Any], seed: int, device: str = "cpu") -> None:
    """Write one part; only its own weights, in 16 bits, are in memory meanwhile."""
    part = on_meta(make)
    text = "text_encoder" in folder.name
    generator = torch.Generator(device).manual_seed(seed)
    shapes = {name: tuple(tensor.shape) for name, tensor in sorted(part.state_dict().items())}
    tensors = {
        _published(name) if text else name: _tensor(name, shapes, generator) for name in shapes
    }
    part.config.save_pretrained(folder) if text else part.save_config(folder)
    base = "model" if text else "diffusion_pytorch_model"
    save_file(tensors, folder / f"{base}.fp16.safetensors", metadata={"format": "pt"})


def _published(name: str) -> str:
    """The published name: transformers 5 has no `text_model.` before some layers."""
    return name if name.startswith("text_") else f"text_model.{name}"


def _tensor(
    name: str, shapes: dict[str, tuple[int, ...]], generator: torch.Generator
) -> torch.Tensor:
    """Initialised like torch and CLIP do, but uniformly where they use a normal distribution."""
    module, _, kind = name.rpartition(".")
    last = module.rpartition(".")[2]
    shape = shapes[name]
    if "norm" in last:
        return torch.full(shape, float(kind == "weight"), dtype=torch.float16)
    if last.endswith("_embedding"):
        return _uniform(shape, 0.02 * 3**0.5, generator)
    fan_in = torch.Size(shapes[f"{module}.weight"][1:]).numel()
    return _uniform(shape, fan_in**-0.5, generator)


def _uniform(shape: tuple[int, ...], bound: float, generator: torch.Generator) -> torch.Tensor:
    drawn = torch.empty(shape, device=generator.device)
    return drawn.uniform_(-bound, bound, generator=generator).half().cpu()
