"""Which models a VAE is of, by the names and shapes of a few of its tensors."""

from typing import Final

from catalog.weight_files.base_models import Shapes

OF_VAE: Final = ("first_stage_model.", "vae.")
"""What the names of a VAE begin with in a file of several networks."""
_PREFIXES: Final = ("", *OF_VAE, "model.")

KL_4: Final = "VAE of SDXL or SD 1.5"
KL_16: Final = "VAE of Z-Image, FLUX.1 or SD 3"
KL_32: Final = "VAE of FLUX.2"
QWEN: Final = "VAE of Anima, Qwen-Image or Wan 2.1"
"""Those that a family has. Where one names several models, their tensors are alike."""
USABLE: Final = (KL_4, KL_16, KL_32, QWEN)
ANOTHER: Final = "VAE of another model"
OF_VIDEO: Final = "VAE of a video model"

_COLOURS: Final = 3
_IMAGES: Final = {4: KL_4, 16: KL_16, 32: KL_32}
"""Channels of the latents of a VAE for images → what it is."""
_VIDEOS: Final = {16: QWEN, 48: "VAE of Wan 2.2"}
"""The same for the VAEs of Wan and of those who took theirs from it."""
_OF_WAN: Final = (
    ("decoder.conv1.weight", "encoder.conv1.weight", "decoder.middle.0.residual.0.gamma"),
    ("decoder.conv_in.weight", "encoder.conv_in.weight", "decoder.norm_out.gamma"),
)
"""Of a VAE of Wan's kind, in its authors' names and in diffusers': the layers that read latents and
pixels, and a norm as only these have it."""


def autoencoder(shapes: Shapes) -> str:
    """What the VAE is that is in a file with these tensors, alone or with other networks.

    A noun phrase without an article; "" if there is none.
    """
    return next(filter(None, (_below(prefix, shapes) for prefix in _PREFIXES)), "")


def _below(prefix: str, shapes: Shapes) -> str:
    for names in _OF_WAN:
        latents, pixels, norm = (shapes.get(prefix + name, ()) for name in names)
        if norm and len(latents) == 5:
            found = _VIDEOS.get(latents[1], OF_VIDEO)
            transparent = found == QWEN and len(pixels) == 5 and pixels[1] != _COLOURS
            return "VAE of Qwen-Image-Layered" if transparent else found
    latents, pixels = (
        shapes.get(f"{prefix}{part}.conv_in.weight", ()) for part in ("decoder", "encoder")
    )
    if len(latents) == 5:
        return OF_VIDEO
    if len(latents) != 4:
        return ""
    found = _IMAGES.get(latents[1], ANOTHER)
    if len(pixels) == 4 and pixels[1] != _COLOURS:
        return ANOTHER
    # Others of as many channels have no statistics of their latents.
    return ANOTHER if found == KL_32 and f"{prefix}bn.running_mean" not in shapes else found
