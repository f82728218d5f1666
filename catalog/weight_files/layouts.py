"""The models that can be used as checkpoints, and how one file of them is laid out."""

from collections.abc import Mapping
from typing import Final

from catalog.families import FAMILIES
from catalog.families.recognition import UNet

ENCODERS: Final[Mapping[str, tuple[tuple[str, ...], ...] | None]] = {
    model: family.recognition.encoders if isinstance(family.recognition, UNet) else None
    for family in FAMILIES.values()
    for model in family.architectures
}
"""Model → what the names of its text encoders begin with: in the files of its authors, of diffusers
and of ComfyUI. None: they are all read from files of any layout."""
USABLE: Final = tuple(ENCODERS)
"""The models that `catalog.families` has a family for."""
INSTEAD: Final = f"only checkpoints of {', '.join(USABLE[:-1])} and {USABLE[-1]} can be used"
