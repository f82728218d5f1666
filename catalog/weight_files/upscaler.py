"""What the file of an upscaler says about itself: its architecture and its factor.

An architecture is told by the names of its tensors, as by spandrel, which the engine loads it with.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from catalog.weight_files.header import HeaderError

COMPACT: Final = "Compact"
ESRGAN: Final = "ESRGAN"
ARCHITECTURES: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = {
    COMPACT: (("body.0.weight", "body.1.weight"),),
    "HAT": (
        (
            "conv_first.weight",
            "layers.0.residual_group.blocks.0.conv_block.cab.0.weight",
            "layers.0.residual_group.overlap_attn.qkv.weight",
        ),
    ),
    "SwinIR": (
        (
            "conv_first.weight",
            "layers.0.residual_group.blocks.0.mlp.fc1.bias",
            "layers.0.residual_group.blocks.0.attn.relative_position_index",
        ),
    ),
    "OmniSR": (
        (
            "residual_layer.0.residual_layer.0.layer.0.fn.0.weight",
            "input.weight",
            "up.0.weight",
        ),
    ),
    "DAT": (
        (
            "conv_first.weight",
            "before_RG.1.weight",
            "layers.0.blocks.0.ffn.sg.conv.weight",
            "layers.0.blocks.0.attn.channel_interaction.1.weight",
        ),
    ),
    "SPAN": (("conv_1.sk.weight", "block_1.c1_r.eval_conv.weight", "conv_cat.weight"),),
    "DRCT": (("conv_first.weight", "layers.0.swin1.attn.qkv.weight", "layers.0.adjust5.weight"),),
    ESRGAN: (
        ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_body.weight", "conv_last.weight"),
        ("model.0.weight", "model.1.sub.0.RDB1.conv1.0.weight"),
        ("conv_first.weight", "RRDB_trunk.0.RDB1.conv1.weight", "trunk_conv.weight"),
    ),
    "PLKSR": (
        ("feats.0.weight", "feats.1.refine.weight", "feats.1.channe_mixer.0.weight"),
        ("feats.0.weight", "feats.1.refine.weight", "feats.1.channel_mixer.0.weight"),
    ),
    "RCAN": (
        ("tail.1.weight", "body.0.body.0.body.0.weight", "body.0.body.0.body.3.conv_du.0.weight"),
    ),
}
"""spandrel's id of an architecture → the tensors by which it is known, in one way or another."""

_WRAPPERS: Final = ("module.", "netG.")
"""What training programs put before the names of all tensors."""
_OTHERS: Final = (
    (re.compile(r"model\.diffusion_model\."), "a checkpoint"),
    (re.compile(r"lora_(unet|te)|.*\.lora_(A|down)"), "a LoRA"),
    (re.compile(r"first_stage_model\.|decoder\.(up|mid)"), "a VAE"),
    (re.compile(r"(emb_params|clip_[gl])$"), "an embedding"),
)
"""What other files may lie in the wrong folder, by a name of one of their tensors."""


@dataclass(frozen=True, slots=True)
class UpscalerFacts:
    """architecture: a key of ARCHITECTURES. factor: how many times it enlarges both sides; None
    where only the network itself can tell."""

    architecture: str
    factor: int | None = None


def upscaler_facts(tensors: Mapping[str, tuple[int, ...]]) -> UpscalerFacts:
    """What a file with tensors of these shapes is.

    Raises HeaderError if it is no upscaler that can be used; it says why.
    """
    shapes = {plain_tensor(name): shape for name, shape in tensors.items()}
    architecture = _architecture(shapes)
    if architecture is None:
        for pattern, what in _OTHERS:
            if any(pattern.match(name) for name in shapes):
                raise HeaderError(f"it is {what}, not an upscaler")
        known = ", ".join(ARCHITECTURES)
        raise HeaderError(f"its architecture is not known; an upscaler must be one of {known}")
    facts = UpscalerFacts(architecture, _factor(architecture, shapes))
    if facts.factor == 1:
        raise HeaderError("it restores images without enlarging them, so it is not an upscaler")
    return facts


def plain_tensor(name: str) -> str:
    """The name of a tensor without what a training program put before it."""
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return name


def _architecture(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    for architecture, ways in ARCHITECTURES.items():
        if any(shapes.keys() >= {*names} for names in ways):
            return architecture
    return None


def _factor(architecture: str, shapes: Mapping[str, tuple[int, ...]]) -> int | None:
    if architecture == COMPACT:
        found = (re.fullmatch(r"body\.(\d{1,4})\.weight", name) for name in shapes)
        final = max(int(match[1]) for match in found if match)
        first, last = shapes["body.0.weight"], shapes[f"body.{final}.weight"]
        return math.isqrt(last[0] // first[1]) if len(first) == len(last) == 4 else None
    if architecture == ESRGAN and "conv_up2.weight" in shapes:
        # It enlarges four times, after folding squares of pixels into channels.
        first = shapes["conv_first.weight"]
        folded = math.isqrt(first[1] // 3) if len(first) == 4 else 0
        return 4 // folded if folded in (1, 2, 4) else None
    return None
