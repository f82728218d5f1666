"""The names that adapter files give to the modules of FLUX.2's transformer."""

from collections.abc import Iterator, Mapping
from typing import Final

import torch

from bot.engine.families.flux2.networks import DENOISER
from bot.engine.families.flux2.original import pieces
from bot.engine.patches import Target

_DOTTED: Final = ("", f"{DENOISER}.", "diffusion_model.", "model.diffusion_model.")
_UNDERSCORED: Final = ("lora_unet", f"lora_{DENOISER}", "lycoris", "oft_unet")


def targets(parts: Mapping[str, torch.nn.Module]) -> dict[str, Target]:
    """See `Family.targets`. parts: the transformer, on any device; only shapes are read.

    The names by program: diffusers writes `transformer.` and the path, peft the bare path, LyCORIS
    `lycoris_` and the path with underscores where it wraps the transformer itself, OneTrainer
    `transformer.` or `lora_transformer_`; ai-toolkit and ComfyUI `diffusion_model.` and Black
    Forest Labs' name, kohya's sd-scripts and musubi-tuner `lora_unet_` and that with underscores
    (huggingface/diffusers loaders/lora_conversion_utils.py, `…flux2…`;
    Comfy-Org/ComfyUI comfy/lora.py; kohya-ss/musubi-tuner networks/lora_flux_2.py;
    Nerogar/OneTrainer modules/util/convert/lora).
    """
    transformer = parts[DENOISER]
    own = {
        path: target
        for path, module in transformer.named_modules()
        if (target := Target.of(DENOISER, path, module))
    }
    known: dict[str, Target] = {}
    for path, target in own.items():
        known.update(dict.fromkeys(_names(path), target))
    for name, (piece, *others) in pieces(transformer).items():
        if not others and piece.of == 1 and piece.path in own:
            known.update(dict.fromkeys(_names(name), own[piece.path]))
    return known


def _names(path: str) -> Iterator[str]:
    yield from (f"{prefix}{path}" for prefix in _DOTTED)
    yield from (f"{prefix}_{path.replace('.', '_')}" for prefix in _UNDERSCORED)
