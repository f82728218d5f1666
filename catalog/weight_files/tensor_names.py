"""The grammar of tensor names in adapter files: a module, and the role of the tensor in it.

No torch: the catalog offers only what the engine can read.
"""

import re
from functools import lru_cache
from typing import Final

_PAIRS: Final = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_up.bias": "up_bias",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_B.bias": "up_bias",
    "lora_magnitude_vector.weight": "magnitude",
    "dora_scale.weight": "magnitude",
    "oft_R.weight": "oft_R",
    "a1.weight": "a1",
    "a2.weight": "a2",
    "b1.weight": "b1",
    "b2.weight": "b2",
    "bm.weight": "bm",
}
_OLD_TAILS: Final = ("_lora", ".lora", ".lora_linear_layer")
"""What diffusers before 0.22 put between a module and `.down.weight`, `.up.weight` or `.alpha`."""
_XLABS: Final = re.compile(r"(.+\.processor\.(?:qkv|proj))_lora([12])")
"""A module by XLabs' trainer for FLUX.1: that of the image's tokens, or of the text's."""
_SINGLES: Final = frozenset(
    (
        *("lora_A", "lora_B"),  # without `.weight`, as lodestones/Kroma has them
        *("alpha", "scalar", "dora_scale", "lora_magnitude_vector", "magnitude"),
        *("diff", "diff_b", "w_norm", "b_norm", "oft_blocks", "rescale", "weight", "on_input"),
        *("boft_R", "boft_s", "ia3_l"),
        *(f"hada_{x}" for x in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
        *(f"lokr_{x}" for x in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
    )
)
_SAME: Final = {
    "dora_scale": "magnitude",
    "lora_magnitude_vector": "magnitude",
    "lora_A": "down",
    "lora_B": "up",
}
_NAMED_MODULES: Final = frozenset(("lora_A", "lora_B", "lora_magnitude_vector", "oft_R"))
"""Modules into whose names peft inserts the adapter's."""
_NAMED_TENSORS: Final = frozenset(
    single
    for single in _SINGLES
    if single.startswith(("lora_magnitude_vector", "hada_", "lokr_", "boft_", "ia3_"))
)
"""Tensors to whose names peft appends the adapter's."""
_ENDS: Final = _SINGLES | {"bias"}
_WRAPPERS: Final = re.compile(
    r"(?:^|(?<=\.))(?:base_model\.model|module|_orig_mod|_fsdp_wrapped_module"
    r"|_checkpoint_wrapped_module|_forward_module)\."
)


@lru_cache(maxsize=2**13)  # a file's names are split twice, and most files have the same
def split(tensor: str, *, biases: bool = False) -> tuple[str, str] | None:
    """A tensor's name → (name of its module, role of the tensor in it); None if it is unknown.

    A role is the same for all spellings: "down" stands for `lora_down.weight`,
    `_lora.down.weight`, `lora_A`, `lora_A.weight` and `lora_A.default.weight`. The name of the
    module is without what peft, torch.compile and distributed training put around modules.

    biases: whether peft's configuration says that there are trained ones.
    """
    where = _split(tensor)
    if where is None and biases and tensor.endswith(".bias"):
        where = tensor.removesuffix(".bias").removesuffix(".base_layer"), "new_bias"
    return where and (_WRAPPERS.sub("", f"{where[0]}.").removesuffix("."), where[1])


def _split(tensor: str) -> tuple[str, str] | None:
    words = tensor.rsplit(".", 3)
    if len(words) == 4 and words[1] in _NAMED_MODULES and words[2] not in ("weight", "bias"):
        del words[2]
    elif len(words) > 2 and words[-1] not in _ENDS and words[-2] in _NAMED_TENSORS:
        del words[-1]
    role = _PAIRS.get(".".join(words[-2:])) if len(words) > 2 else None
    if role:
        return ".".join(words[:-2]), role
    if len(words) > 2 and words[-1] == "weight" and words[-2] in ("down", "up"):
        module = ".".join(words[:-2])
        bare = _without_tail(module)
        if bare != module:
            return bare, words[-2]
    if words[-1] in _SINGLES and len(words) > 1:
        module = ".".join(words[:-1])
        bare = _without_tail(module) if words[-1] == "alpha" else module
        return bare, _SAME.get(words[-1], words[-1])
    return None


def _without_tail(module: str) -> str:
    if numbered := _XLABS.fullmatch(module):
        return "".join(numbered.groups())
    tail = next((tail for tail in _OLD_TAILS if module.endswith(tail)), "")
    return module.removesuffix(tail)
