"""Write the trained parts in the usual formats: diffusers folder, single file, adapter files."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from safetensors.torch import save, save_file

from tools.demo.adapters import Plan
from tools.demo.text import Text
from tools.demo.unet import SIZES, scheduler
from tools.demo.words import END, vocabulary_and_merges, write_tokenizer

LICENCE = "MIT"


def write_folder(folder: Path, vae: AutoencoderKL, text: Text, unet: UNet2DConditionModel) -> None:
    """Write a pipeline in diffusers layout, fp16."""
    parts: dict[str, Any] = {
        "text_encoder": text.first,
        "text_encoder_2": text.second,
        "unet": unet,
        "vae": vae,
    }
    for name, part in parts.items():
        part.half().save_pretrained(folder / name, safe_serialization=True)
        part.float()
    for name, pad in (("tokenizer", END), ("tokenizer_2", "!")):
        write_tokenizer(folder / name, pad, *vocabulary_and_merges())
    scheduler().save_pretrained(folder / "scheduler")
    write_index(folder)


def write_index(folder: Path) -> None:
    """Write the `model_index.json` of a folder in diffusers layout."""
    index = {
        "_class_name": "StableDiffusionXLPipeline",
        "force_zeros_for_empty_prompt": True,
        "add_watermarker": None,
        "feature_extractor": [None, None],
        "image_encoder": [None, None],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
    }
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


def write_single_file(path: Path, text: Text, unet: UNet2DConditionModel, title: str) -> None:
    """Write a single-file checkpoint with Stability's names, without a VAE, fp16."""
    tensors = {f"model.diffusion_model.{n}": t for n, t in _ldm_unet(unet).items()}
    for name, tensor in text.first.state_dict().items():
        if name.endswith("position_ids"):
            continue
        stem = name if name.startswith("text_model.") else f"text_model.{name}"
        tensors[f"conditioner.embedders.0.transformer.{stem}"] = tensor
    for name, tensor in _open_clip(text.second.state_dict()).items():
        tensors[f"conditioner.embedders.1.model.{name}"] = tensor
    half = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    half["v_pred"] = torch.tensor([])
    metadata = {
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "modelspec.title": title,
        "modelspec.license": LICENCE,
        "modelspec.prediction_type": "v",
        "modelspec.resolution": "x".join(map(str, SIZES[0])),
    }
    save_file(half, path, metadata)


def _ldm_unet(unet: UNet2DConditionModel) -> dict[str, torch.Tensor]:
    """The parameters of a UNet with layers_per_block 1, under the names of Stability's code."""
    moved = {
        "conv_in": "input_blocks.0.0",
        "time_embedding.linear_1": "time_embed.0",
        "time_embedding.linear_2": "time_embed.2",
        "add_embedding.linear_1": "label_emb.0.0",
        "add_embedding.linear_2": "label_emb.0.2",
        "conv_norm_out": "out.0",
        "conv_out": "out.2",
        "mid_block.resnets.0": "middle_block.0",
        "mid_block.attentions.0": "middle_block.1",
        "mid_block.resnets.1": "middle_block.2",
    }
    levels = len(unet.config["block_out_channels"])
    for level in range(levels):
        place = 1 + 2 * level
        moved[f"down_blocks.{level}.resnets.0"] = f"input_blocks.{place}.0"
        moved[f"down_blocks.{level}.attentions.0"] = f"input_blocks.{place}.1"
        moved[f"down_blocks.{level}.downsamplers.0.conv"] = f"input_blocks.{place + 1}.0.op"
        for layer in range(2):
            place = 2 * level + layer
            moved[f"up_blocks.{level}.resnets.{layer}"] = f"output_blocks.{place}.0"
            moved[f"up_blocks.{level}.attentions.{layer}"] = f"output_blocks.{place}.1"
        attends = "CrossAttn" in unet.config["up_block_types"][level]
        upsampler = f"output_blocks.{2 * level + 1}.{2 if attends else 1}.conv"
        moved[f"up_blocks.{level}.upsamplers.0.conv"] = upsampler
    inside = {
        "norm1": "in_layers.0",
        "conv1": "in_layers.2",
        "time_emb_proj": "emb_layers.1",
        "norm2": "out_layers.0",
        "conv2": "out_layers.3",
        "conv_shortcut": "skip_connection",
    }
    found = {}
    for name, tensor in unet.state_dict().items():
        stem = max((s for s in moved if name.startswith(f"{s}.")), key=len)
        rest = name.removeprefix(f"{stem}.")
        if ".resnets." in name:
            layer, _, kind = rest.partition(".")
            rest = f"{inside[layer]}.{kind}"
        found[f"{moved[stem]}.{rest}"] = tensor
    return found


def _open_clip(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The second text encoder under OpenCLIP's names."""
    state = {name.removeprefix("text_model."): tensor for name, tensor in state.items()}
    names = {
        "embeddings.token_embedding.weight": "token_embedding.weight",
        "embeddings.position_embedding.weight": "positional_embedding",
        "final_layer_norm.weight": "ln_final.weight",
        "final_layer_norm.bias": "ln_final.bias",
    }
    found = {new: state[old] for old, new in names.items()}
    found["text_projection"] = state["text_projection.weight"].T
    inside = {
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    for number in range(1 + max(int(n.split(".")[2]) for n in state if ".layers." in n)):
        old, new = f"encoder.layers.{number}", f"transformer.resblocks.{number}"
        for kind in ("weight", "bias"):
            three = [state[f"{old}.self_attn.{which}_proj.{kind}"] for which in "qkv"]
            found[f"{new}.attn.in_proj_{kind}"] = torch.cat(three)
            for mine, theirs in inside.items():
                found[f"{new}.{theirs}.{kind}"] = state[f"{old}.{mine}.{kind}"]
    return found


def write_adapter(path: Path, plan: Plan, tensors: dict[str, torch.Tensor], pictures: int) -> None:
    """Write an adapter with the metadata of kohya's trainer, fp16."""
    half = {name: tensor.half().contiguous() for name, tensor in tensors.items()}
    lycoris = {"algo": plan.algo, "preset": "full" if plan.convolutions else "attn-mlp"}
    metadata = {
        "ss_network_module": "lycoris.kohya" if plan.algo else "networks.lora",
        "ss_network_dim": str(plan.rank),
        "ss_network_alpha": str(float(plan.rank)),
        "ss_network_args": json.dumps(lycoris if plan.algo else {}),
        "ss_base_model_version": "sdxl_base_v1-0",
        "ss_sd_model_name": "demo",
        "ss_output_name": plan.style,
        "ss_num_train_images": str(pictures),
        "ss_tag_frequency": json.dumps({plan.style: {plan.trigger: pictures}}),
        "sshs_model_hash": hashlib.sha256(_after_header(save(half))).hexdigest(),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "https://github.com/Stability-AI/generative-models",
        "modelspec.title": plan.title,
        "modelspec.description": plan.description,
        "modelspec.trigger_phrase": plan.trigger,
        "modelspec.license": LICENCE,
    }
    save_file(half, path, metadata)


def _after_header(data: bytes) -> bytes:
    """What kohya's trainer hashes of a file: everything after the header."""
    return data[8 + int.from_bytes(data[:8], "little") :]
