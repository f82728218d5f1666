"""Which model a UNet belongs to, by the shapes of a few of its layers."""

from dataclasses import dataclass
from typing import Final

from catalog.families import FAMILIES
from catalog.families.recognition import Shapes, UNet
from catalog.families.unet import SD2, SD2_CONTEXT

_PREFIXES: Final = ("model.diffusion_model.", "diffusion_model.", "unet.", "")

_FAMILIES: Final = tuple(
    (family.architectures[0], recognition)
    for family in FAMILIES.values()
    if isinstance(recognition := family.recognition, UNet)
)
_CHANNELS: Final = {9: "inpainting", 8: "instruct-pix2pix", 5: "depth", 7: "upscaling", 12: "video"}
"""Input channels of a UNet that takes more than the 4 of its latents → what for."""
_LATENT_CHANNELS: Final = 4
GUIDED: Final = "guidance-distilled"
_CONTEXT_OF_SDXL: Final = 2048
ANOTHER: Final = "unknown"
"""Model of a UNet that is none of those known here."""
_OF_VIDEO: Final = (".time_stack.", ".temporal_transformer_blocks.", ".motion_modules.")
_REFINER_CONTEXT: Final = 1280
_REFINER_SIZES: Final = 2560
_KOLORS_SIZES: Final = 5632
"""Width of the embedding of sizes: in SDXL itself 2816."""

_CONTROLNETS: Final = (
    "controlnet_cond_embedding.conv_in.weight",
    "input_hint_block.0.weight",
    "conv_in_condition.weight",
)
"""Of networks that begin like a UNet, but only steer one."""
_DISTILLED: Final = ("time_embed.cond_proj.weight", "time_embedding.cond_proj.weight")
"""Of a UNet that takes the guidance scale as an input (latent consistency models)."""


@dataclass(frozen=True, slots=True)
class UNetFacts:
    """model: "SDXL", "SD 1.5", "SD 2", … task: "inpainting", …; "" for text to image.

    pruned: name of one with fewer layers, "" for the model's own shape. config: hub id of its
    configuration.
    """

    model: str
    task: str = ""
    pruned: str = ""
    config: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.pruned or self.model, self.task)))


def unet(shapes: Shapes) -> UNetFacts | None:
    """The UNet in a file with these tensors; None if there is none."""
    for prefix in _PREFIXES:
        if any(f"{prefix}{mark}" in shapes for mark in _CONTROLNETS):
            return None
        first = shapes.get(f"{prefix}input_blocks.0.0.weight") or (
            shapes.get(f"{prefix}conv_in.weight")
            if f"{prefix}time_embedding.linear_1.weight" in shapes
            else None
        )
        if first and len(first) == 4:
            return _facts(prefix, first[1], shapes)
    return None


def _facts(prefix: str, channels: int, shapes: Shapes) -> UNetFacts:
    sizes = shapes.get(f"{prefix}label_emb.0.0.weight") or shapes.get(
        f"{prefix}add_embedding.linear_1.weight"
    )
    width = sizes[-1] if sizes else 0
    task = "" if channels == _LATENT_CHANNELS else _CHANNELS.get(channels, f"{channels}-channel")
    context = _context(prefix, shapes)
    names = "\n".join(shapes)
    if any(mark in names for mark in _OF_VIDEO):
        return UNetFacts("video")
    if f"{prefix}encoder_hid_proj.weight" in shapes or width == _KOLORS_SIZES:
        return UNetFacts("Kolors" if context == _CONTEXT_OF_SDXL else ANOTHER, task)
    if f"{prefix}encoder_hid_proj.image_embeds.weight" in shapes:
        return UNetFacts("Kandinsky 2", task)
    if width == _REFINER_SIZES or context == _REFINER_CONTEXT:
        return UNetFacts("SDXL refiner", task)
    if any(f"{prefix}{mark}" in shapes for mark in _DISTILLED):
        task = " ".join(filter(None, (task, GUIDED)))
    model, family = _owner(context, width)
    if family is None or context != family.context:
        return UNetFacts(model, task)
    return UNetFacts(model, task, *family.smaller(prefix, shapes))


def model_of(shapes: Shapes) -> str:
    """The model that the encoder of a UNet in these tensors belongs to, whose names have no prefix:
    a copy of it is in a ControlNet."""
    return _facts("", _LATENT_CHANNELS, shapes).model


def named(context: int, sizes: int) -> str:
    """The model of a UNet that reads text embeddings and sizes of these widths; 0 for none."""
    return _owner(context, sizes)[0]


def _owner(context: int, sizes: int) -> tuple[str, UNet | None]:
    """The same, and what tells its family; None if it has none."""
    for name, family in _FAMILIES:
        if family.owns(context, sizes):
            return name, family
    return SD2 if context == SD2_CONTEXT else ANOTHER, None


def _context(prefix: str, shapes: Shapes) -> int:
    """The width of the text embeddings that its cross-attention reads; 0 if there is none."""
    end = "transformer_blocks.0.attn2.to_k.weight"
    for block in ("middle_block.1.", "mid_block.attentions.0.", "input_blocks.4.1."):
        if shape := shapes.get(f"{prefix}{block}{end}"):
            return shape[-1]
    return next(
        (
            shape[-1]
            for name, shape in shapes.items()
            if name.startswith(prefix) and name.endswith(end) and shape
        ),
        0,
    )
