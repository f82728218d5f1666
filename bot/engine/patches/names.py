"""Tensor names in adapter files: a module of the model, and a role."""

import re
from collections.abc import Mapping
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
    "dora_scale.weight": "magnitude",
    "oft_R.weight": "oft_R",
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
        *("alpha", "scalar", "dora_scale", "lora_magnitude_vector"),
        *("diff", "diff_b", "w_norm", "b_norm", "oft_blocks", "rescale", "weight", "on_input"),
        *("boft_R", "boft_s", "ia3_l"),
        *(f"hada_{x}" for x in ("w1_a", "w1_b", "w2_a", "w2_b", "t1", "t2")),
        *(f"lokr_{x}" for x in ("w1", "w1_a", "w1_b", "w2", "w2_a", "w2_b", "t2")),
    )
)
_SAME: Final = {"dora_scale": "magnitude", "lora_magnitude_vector": "magnitude"}
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
_UNDERSCORED_WRAPPERS: Final = re.compile(
    r"(?:^|_)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|base_model_model|module)(?=_)"
)
_PIPELINES: Final = re.compile(r"(?:pipeline|pipe|model)[._]")
"""Names of the object that holds the networks, in files of hand-written trainers."""


def split(tensor: str, *, biases: bool = False) -> tuple[str, str] | None:
    """A tensor's name → (name of its module, role of the tensor in it); None if it is unknown.

    A role is the same for all spellings: "down" stands for `lora_down.weight`,
    `_lora.down.weight`, `lora_A.weight` and `lora_A.default.weight`. The name of the module is
    without what peft, torch.compile and distributed training put around modules.

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
        for tail in _OLD_TAILS:
            if module.endswith(tail):
                return module.removesuffix(tail), words[-2]
    if words[-1] in _SINGLES and len(words) > 1:
        return ".".join(words[:-1]), _SAME.get(words[-1], words[-1])
    return None


class Spellings:
    """Finds modules by any spelling of their names: dots, underscores, or some of both.

    known: by the usual names, as `Family.targets` makes them; `<part>.<path>` is always one.
    """

    def __init__(self, known: Mapping[str, Target]) -> None:
        self._known = known
        self._underscored: dict[str, Target | None] = {}

    def target(self, module: str) -> Target | None:
        """The target of this name from `split`; None if the model has none."""
        if found := self._known.get(module) or self._loosely(module):
            return found
        held = _PIPELINES.match(module)
        return self._loosely(module[held.end() :]) if held else None

    def target_in(self, part: str, module: str) -> Target | None:
        """The target of a name that does not tell the part."""
        return self.target(f"{part}.{module.removeprefix('lycoris_')}")

    def _loosely(self, module: str) -> Target | None:
        if not self._underscored:
            for name, target in self._known.items():
                spelled = name.replace(".", "_")
                if self._underscored.setdefault(spelled, target) != target:
                    self._underscored[spelled] = None  # two modules in one spelling
        return self._underscored.get(
            _UNDERSCORED_WRAPPERS.sub("", module.replace(".", "_")).lstrip("_")
        )


def paths_of(module: str, target: Target) -> tuple[str, ...]:
    """The paths by which a configuration may mean a module: as in the file, as in the model.

    transformers 4 has the layers of all text encoders under `text_model`, transformers 5 not all.
    """
    bare = target.path.removeprefix("text_model.")
    spelled = (module, module.removeprefix(f"{target.part}."), target.path)
    return tuple(dict.fromkeys((*spelled, bare, f"text_model.{bare}")))
