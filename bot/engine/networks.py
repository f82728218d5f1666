"""The four networks of an SDXL model: what they look like, and their numbers in the files."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from accelerate import init_empty_weights
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders.single_file_utils import (
    convert_ldm_clip_checkpoint,
    convert_ldm_unet_checkpoint,
    convert_ldm_vae_checkpoint,
    convert_open_clip_checkpoint,
)
from safetensors import safe_open
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

from bot.engine.owner import Owner
from bot.engine.sampling import Training
from bot.engine.sources import Source
from bot.engine.weights import Layout
from catalog.families import SDXL
from catalog.weight_files import NotSafetensors, read_header

TEXT: Final = ("text_encoder", "text_encoder_2")
NETWORKS: Final = ("unet", *TEXT, "vae")

Tensors = Mapping[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """Everything that a model is loaded from.

    vae: replaces the checkpoint's own. config: completes a single-file checkpoint.
    """

    checkpoint: Source
    vae: Source | None
    config: Source | None

    @property
    def root(self) -> Path:
        """The folder with the configuration and the tokenizers."""
        return (self.config or self.checkpoint).root

    def fingerprint(self) -> tuple[Any, ...]:
        sources = (self.checkpoint, self.vae, self.config)
        return tuple(source and source.fingerprint() for source in sources)

    def holding(self, network: str) -> tuple[Path, ...]:
        """The files with the numbers of `network`."""
        if network == "vae" and self.vae:
            return self.vae.weights
        if self.checkpoint.single:
            return self.checkpoint.weights
        folder = self.checkpoint.root / network
        return tuple(path for path in self.checkpoint.weights if path.parent == folder)

    def config_of(self, network: str) -> dict[str, Any]:
        """What `config.json` says of `network`."""
        folder = self.root / network
        if network == "vae" and self.vae and not self.vae.single:
            folder = self.vae.weights[0].parent
        config: dict[str, Any] = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return config


_HISTORY: Final = ("architectures", "dtype", "torch_dtype", "transformers_version")


def essence(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` without what only tells who saved it, when and how."""
    return {
        key: value
        for key, value in config.items()
        if not key.startswith("_") and key not in _HISTORY
    }


def dtype_of(network: str, config: Mapping[str, Any], dtype: torch.dtype) -> torch.dtype:
    """What `network` computes in when the engine computes in `dtype`."""
    # Stock SDXL VAEs overflow in 16 bits and say so in their configuration.
    if network == "vae" and dtype == torch.float16 and config.get("force_upcast", True):
        return torch.float32
    return dtype


def build(network: str, config: Mapping[str, Any]) -> Any:
    """A module with its parameters on the meta device; in the engine thread only.

    accelerate replaces a method of every module meanwhile: another thread that builds one at the
    same time would get parameters without numbers.
    """
    with init_empty_weights(include_buffers=False):
        if network == "unet":
            return UNet2DConditionModel.from_config(dict(config))
        if network == "vae":
            return AutoencoderKL.from_config(dict(config))
        kind = CLIPTextModelWithProjection if network == "text_encoder_2" else CLIPTextModel
        return kind(CLIPTextConfig.from_dict(dict(config)))


def check(files: ModelFiles, owner: Owner) -> frozenset[str]:
    """Check every header before anything else opens the files; the names in a single file.

    Raises JobFailed.
    """
    single: frozenset[str] = frozenset()
    for source in (files.checkpoint, files.vae):
        for path in source.weights if source else ():
            try:
                names = read_header(path).shapes
            except NotSafetensors as error:
                raise owner.failed("not_safetensors", file=path.name, reason=str(error)) from None
            if path == files.checkpoint.single:
                single = frozenset(names)
                _check_single(single, owner)
    return single


def _check_single(names: frozenset[str], owner: Owner) -> None:
    if not SDXL.recognises(names):
        raise owner.failed("not_sdxl")


def read(network: str, module: Any, layout: Layout, files: ModelFiles, owner: Owner) -> Tensors:
    """Every parameter of `layout`, mapped from its file where its form allows, else copied.

    Raises JobFailed when one is missing or has another shape.
    """
    tensors = _renamed(network, module, stored(files.holding(network)), layout)
    return fitting(network, tensors, layout, owner)


def stored(paths: Iterable[Path]) -> dict[str, torch.Tensor]:
    """Every tensor in these files, mapped from them, by the names that they have there."""
    found: dict[str, torch.Tensor] = {}
    for path in paths:
        with safe_open(path, framework="pt") as file:
            for name in file.keys():  # noqa: SIM118 – it is no mapping
                found[name] = file.get_tensor(name)
    return found


def fitting(network: str, found: Tensors, layout: Layout, owner: Owner) -> Tensors:
    """Those of `found` that `layout` asks for.

    Raises JobFailed when one is missing or has another shape.
    """
    missing = [name for name in layout.slots if name not in found]
    if missing:
        raise owner.failed("incomplete", part=f"{network} ({missing[0]})")
    for name, slot in layout.slots.items():
        if tuple(found[name].shape) != slot.shape:
            shapes = f"{tuple(found[name].shape)} instead of {slot.shape}"
            raise owner.failed("unreadable", reason=f"{network}.{name}: {shapes}")
    return {name: found[name] for name in layout.slots}


def _renamed(
    network: str, module: Any, stored: dict[str, torch.Tensor], layout: Layout
) -> dict[str, torch.Tensor]:
    """`stored` under the names of `module`."""
    if network == "unet" and any(name.startswith("model.diffusion_model.") for name in stored):
        return dict(convert_ldm_unet_checkpoint(stored, module.config))
    if network == "vae":
        if any(name.endswith("mid.attn_1.q.weight") for name in stored):
            return dict(convert_ldm_vae_checkpoint(stored, module.config))
        return {_modern(name): tensor for name, tensor in stored.items()}
    if network == "text_encoder_2" and "conditioner.embedders.1.model.ln_final.weight" in stored:
        prefix = "conditioner.embedders.1.model."
        stored = convert_open_clip_checkpoint(module, stored, prefix=prefix)
    elif network == "text_encoder" and any(n.startswith("conditioner.") for n in stored):
        stored = convert_ldm_clip_checkpoint(stored)
    # transformers 5 keeps the first encoder's layers at the top; the files still say text_model.
    top = not any(name.startswith("text_model.") for name in layout.slots)
    if network == "text_encoder" and top:
        return {name.removeprefix("text_model."): tensor for name, tensor in stored.items()}
    return stored


_OLD_ATTENTION: Final = {"query": "to_q", "key": "to_k", "value": "to_v", "proj_attn": "to_out.0"}


def _modern(name: str) -> str:
    """The name of a VAE's parameter as diffusers ≥ 0.12 writes it."""
    path, _, kind = name.rpartition(".")
    module, _, leaf = path.rpartition(".")
    return f"{module}.{_OLD_ATTENTION[leaf]}.{kind}" if leaf in _OLD_ATTENTION else name


def digest(tensors: Tensors, tick: Callable[[float], None]) -> str:
    """Hex SHA-256 of names, types, shapes and numbers: the same for the same network in any file.

    tick: told the fraction done; may raise to stop.
    """
    total = sum(tensor.nbytes for tensor in tensors.values())
    seen, done = hashlib.sha256(), 0
    for name, tensor in tensors.items():
        seen.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        seen.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
        done += tensor.nbytes
        tick(done / max(total, 1))
    return seen.hexdigest()


def training_of(names: frozenset[str]) -> Training:
    """What the empty marker tensors of a single-file checkpoint say about its training.

    `v_pred` and `ztsnr` are what trainers of v-prediction models put in and other programs look
    for (NoobAI-XL's model card describes both).
    """
    return Training(
        prediction="v_prediction" if "v_pred" in names else None,
        zero_snr=True if "ztsnr" in names else None,
    )
