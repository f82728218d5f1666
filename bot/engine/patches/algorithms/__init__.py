"""Adapter algorithms: the tensors that each stores per module, and the change they make.

Every algorithm is linear in the weight, as users expect from LoRA: the patched parameter is
W + w · Δ(W), with Δ(W) the change at weight 1. For the algorithms that transform instead of adding
(DoRA, OFT, BOFT, (IA)³), W' = f(W) becomes W + w · (f(W) − W). So 0 is the model, 1 is what was
trained, and weights in between interpolate linearly.

For two algorithms, other programs interpret a weight other than 1 differently, each in its own way,
and we follow none of them. DoRA is linear in A1111 and ComfyUI too
(comfy/weight_adapter/base.py), but peft scales the low-rank product before taking the norm, so
that a weight of 0 still sets every norm, and LyCORIS scales the norm alone, so that a weight of 0
leaves a LoRA of weight 1. For BOFT, LyCORIS (lycoris/functional/boft.py) scales the rotation of
each stage by the weight, and applies `rescale` in full even at 0; ComfyUI does the same and then
scales the sum once more. The tests against peft and LyCORIS cover both differences.

The formulas are LyCORIS' (KohakuBlueleaf/LyCORIS, lycoris/modules and lycoris/functional, 4.1.3).
Where other programs write or read a format differently, a comment says so.

We do not call LyCORIS itself. lycoris.functional has no GLoRA, (IA)³, full or norm, and does not
check the shapes in unknown files, which is most of the work. On CUDA it picks a kernel at every
call (Triton, TileLang, torch.compile, eager; lycoris/kernels/select.py) and drops one after its
first failure, so the same request could give other bits. Importing it imports the whole package
with its training code, and needs einops and toml. So it only serves as the reference in the tests
(tests/engine/patches/test_against_lycoris.py), which also show what its own reloading gets wrong.
"""

from bot.engine.patches.algorithms.algorithm import (
    RANK_LIMIT,
    SCALE_LIMIT,
    Algorithm,
    MalformedError,
    RankError,
    Shape,
    Stated,
    at,
)
from bot.engine.patches.algorithms.direct import IA3, Full, Norm
from bot.engine.patches.algorithms.factored import GLoRA, LoHa, LoKr, LoRA
from bot.engine.patches.algorithms.of_peft import PeftBOFT, PeftIA3, PeftOFT
from bot.engine.patches.algorithms.orthogonal import BOFT, OFT

__all__ = [
    "BOFT",
    "IA3",
    "OFT",
    "RANK_LIMIT",
    "SCALE_LIMIT",
    "Algorithm",
    "Full",
    "GLoRA",
    "LoHa",
    "LoKr",
    "LoRA",
    "MalformedError",
    "Norm",
    "PeftBOFT",
    "PeftIA3",
    "PeftOFT",
    "RankError",
    "Shape",
    "Stated",
    "at",
]
