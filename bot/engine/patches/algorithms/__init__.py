"""The algorithms of adapters: what each keeps of a module, and which change of it that means.

Every algorithm is linear in the weight, as people know it of LoRA: the patched parameter is
W + w · Δ(W), with Δ(W) the change at weight 1. For the algorithms that do not add but transform
(DoRA, OFT, BOFT, (IA)³), W' = f(W) becomes W + w · (f(W) − W). So 0 is the model, 1 what was
trained, and what lies between is on the line from one to the other.

Of two algorithms other programs mean something else by a weight that is not 1, each something of
its own, and we follow none of them. DoRA is linear in A1111 and ComfyUI too
(comfy/weight_adapter/base.py), but peft scales the low-rank product before the norm is taken, so
that a weight of 0 still sets every norm, and LyCORIS scales the norm alone, so that it leaves a
LoRA of weight 1. BOFT turns each of its stages as far as the weight says in LyCORIS
(lycoris/functional/boft.py), where `rescale` stays whole at 0; ComfyUI does so and then scales the
sum once more. The tests against peft and LyCORIS state both differences.

The formulas are LyCORIS' (KohakuBlueleaf/LyCORIS, lycoris/modules and lycoris/functional, 4.1.3);
what else wrote or read a format differently is said where it matters.

They are written here rather than called there. lycoris.functional has none for GLoRA, (IA)³, full
and norm, and no checks of a stranger's shapes, which are most of the work. On CUDA it picks a
kernel at every call (Triton, TileLang, torch.compile, eager; lycoris/kernels/select.py) and
drops one after its first failure, so that the same request could give other bits. Importing it
imports the whole package with its training code, and needs einops and toml. So it is an
oracle of the tests instead (tests/engine/patches/test_against_lycoris.py), which also shows what of
its own reloading is wrong.
"""

from bot.engine.patches.algorithms.algorithm import (
    RANK_LIMIT,
    Algorithm,
    MalformedError,
    RankError,
    Shape,
    at,
)
from bot.engine.patches.algorithms.direct import IA3, Full, Norm
from bot.engine.patches.algorithms.factored import GLoRA, LoHa, LoKr, LoRA
from bot.engine.patches.algorithms.orthogonal import BOFT, OFT

__all__ = [
    "BOFT",
    "IA3",
    "OFT",
    "RANK_LIMIT",
    "Algorithm",
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
