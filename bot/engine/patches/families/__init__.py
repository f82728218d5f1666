"""The families of adapters: what each keeps of a module, and which change of it that means.

Every family takes part in the weight linearly, as people know it from A1111, Forge, ComfyUI and
InvokeAI: the patched parameter is W + w · Δ(W), with Δ(W) the change at weight 1. For the families
that do not add but transform (DoRA, OFT, BOFT, (IA)³), W' = f(W) becomes W + w · (f(W) − W).

The formulas are LyCORIS' (KohakuBlueleaf/LyCORIS, lycoris/modules and lycoris/functional, 4.1.3);
what else wrote or read a format differently is said where it matters.
"""

from bot.engine.patches.families.direct import IA3, Full, Norm
from bot.engine.patches.families.factored import GLoRA, LoHa, LoKr, LoRA
from bot.engine.patches.families.family import (
    RANK_LIMIT,
    Family,
    MalformedError,
    RankError,
    Shape,
    at,
)
from bot.engine.patches.families.orthogonal import BOFT, OFT

__all__ = [
    "BOFT",
    "IA3",
    "OFT",
    "RANK_LIMIT",
    "Family",
    "Full",
    "GLoRA",
    "LoHa",
    "LoKr",
    "LoRA",
    "MalformedError",
    "Norm",
    "RankError",
    "Shape",
    "at",
]
