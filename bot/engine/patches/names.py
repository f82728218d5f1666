"""Tensor names in adapter files: a module of the model, and a role."""

from dataclasses import dataclass
from typing import Final

import torch

_KINDS: Final = (torch.nn.Linear, torch.nn.Conv2d, torch.nn.LayerNorm, torch.nn.GroupNorm)


@dataclass(frozen=True, slots=True)
class Target:
    """A module that an adapter can change.

    part: the network, as `Family.patched` names it.
    path: of the module in that part, as `get_submodule` takes it.
    shape: of its weight: (out, in) for a Linear, (out, in, height, width) for a Conv2d, (n,) for a
        LayerNorm or GroupNorm.
    has_bias: whether there is a bias to change, of shape (out,) or (n,).
    """

    part: str
    path: str
    shape: tuple[int, ...]
    has_bias: bool

    @classmethod
    def of(cls, part: str, path: str, module: torch.nn.Module) -> "Target | None":
        """The target at `path`; None for a kind of module that no adapter changes."""
        if not isinstance(module, _KINDS) or module.weight is None:
            return None
        return cls(part, path, tuple(module.weight.shape), module.bias is not None)


_PAIRS: Final = {
    "lora_down.weight": "down",
    "lora_up.weight": "up",
    "lora_mid.weight": "mid",
    "lora_up.bias": "up_bias",
    "lora_A.weight": "down",
    "lora_B.weight": "up",
    "lora_B.bias": "up_bias",
    "lora_magnitude_vector.weight": "magnitude",
    "a1.weight": "a1",
    "a2.weight": "a2",
    "b1.weight": "b1",
    "b2.weight": "b2",
    "bm.weight": "bm",
}
_OLD_TAILS: Final = ("_lora", ".lora", ".lora_linear_layer")
"""What diffusers before 0.22 put between a module and `.down.weight` or `.up.weight`."""
_SINGLES: Final = frozenset(
    (
        *("alpha", "dora_scale", "lora_magnitude_vector", "diff", "diff_b", "w_norm", "b_norm"),
        *("oft_blocks", "rescale", "weight", "on_input"),
        *(f"hada_{x}" for x in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
        *(f"lokr_{x}" for x in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
    )
)
_SAME: Final = {"dora_scale": "magnitude", "lora_magnitude_vector": "magnitude"}
_PEFT: Final = frozenset(("lora_A", "lora_B", "lora_magnitude_vector"))


def split(tensor: str) -> tuple[str, str] | None:
    """A tensor's name → (name of its module, role of the tensor in it); None if it is unknown.

    A role is the same for all spellings: "down" stands for `lora_down.weight`,
    `_lora.down.weight`, `lora_A.weight` and `lora_A.default.weight`.
    """
    tensor = tensor.removeprefix("base_model.model.")
    words = tensor.rsplit(".", 3)
    if len(words) == 4 and words[1] in _PEFT and words[2] not in ("weight", "bias"):
        del words[2]  # the adapter's name, which peft inserts
    role = _PAIRS.get(".".join(words[-2:])) if len(words) > 2 else None
    if role:
        return ".".join(words[:-2]), role
    if len(words) > 2 and words[-1] == "weight" and words[-2] in ("down", "up"):
        module = ".".join(words[:-2])
        for tail in _OLD_TAILS:
            if module.endswith(tail):
                return module.removesuffix(tail), words[-2]
    if words[-1] in _SINGLES and len(words) > 1:
        return ".".join(words[:-1]), _SAME.get(words[-1], words[-1])
    return None
