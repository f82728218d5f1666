"""Adapter algorithms by their usual names, as shown by /loras and the engine."""

from collections.abc import Collection
from typing import Final

LORA: Final = "LoRA"
LOCON: Final = "LoCon"
DORA: Final = "DoRA"
LOHA: Final = "LoHa"
LOKR: Final = "LoKr"
FULL: Final = "full"
NORM: Final = "norm"
GLORA: Final = "GLoRA"
DIAG_OFT: Final = "Diag-OFT"
BOFT: Final = "BOFT"
IA3: Final = "(IA)³"
UNKNOWN: Final = "unknown"

SUPPORTED: Final = (LORA, LOCON, DORA, LOHA, LOKR, FULL, NORM, GLORA, DIAG_OFT, BOFT, IA3)
"""The ones that the engine can apply."""


def joined(found: Collection[str]) -> str:
    """Several of SUPPORTED in one phrase, such as "LoCon + DoRA"; UNKNOWN if there are none."""
    return " + ".join(name for name in SUPPORTED if name in found) or UNKNOWN
