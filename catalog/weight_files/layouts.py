"""The models that can be used as checkpoints, and how one file of them is laid out."""

from collections.abc import Mapping
from typing import Final

from catalog.weight_files.base_models import SD15, SDXL

FLUX2_KLEIN: Final = "FLUX.2 klein 4B"
Z_IMAGE: Final = "Z-Image"
ANIMA: Final = "Anima"

ENCODERS: Final[Mapping[str, tuple[tuple[str, ...], ...] | None]] = {
    SDXL: (
        ("conditioner.embedders.0.", "conditioner.embedders.1."),
        ("text_encoder.", "text_encoder_2."),
        ("text_encoders.clip_l.", "text_encoders.clip_g."),
    ),
    SD15: (("cond_stage_model.transformer.",), ("text_encoder.",), ("text_encoders.clip_l.",)),
    FLUX2_KLEIN: None,
    Z_IMAGE: None,
    ANIMA: None,
}
"""Model → what the names of its text encoders begin with: in the files of its authors, of diffusers
and of ComfyUI. None: they are all read from files of any layout."""
USABLE: Final = tuple(ENCODERS)
"""The models that `catalog.families` has a family for."""
INSTEAD: Final = f"only checkpoints of {', '.join(USABLE[:-1])} and {USABLE[-1]} can be used"
