"""A LoRA file, checked from its header to its last number before it comes near the model."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open

from bot.engine.adapter_names import Target
from bot.engine.owner import Owner
from bot.engine.safetensors_file import Header, NotSafetensors, read_header

FILE_LIMIT: Final = 8 * 2**30
"""Bytes. The largest published LoRA for SDXL (rank 512, with convolutions) has about 3 GiB."""
RANK_LIMIT: Final = 4096

_ROLES: Final = (
    ("down", re.compile(r"(.+?)(?:\.|_)lora(?:_linear_layer)?(?:_down|\.down|_A)\.weight")),
    ("up", re.compile(r"(.+?)(?:\.|_)lora(?:_linear_layer)?(?:_up|\.up|_B)\.weight")),
    ("alpha", re.compile(r"(.+)\.alpha")),
)
_FOREIGN: Final = (
    ("DoRA", re.compile(r"dora_scale|lora_magnitude_vector")),
    ("LoHa", re.compile(r"\.hada_")),
    ("LoKr", re.compile(r"\.lokr_")),
    ("OFT", re.compile(r"\.(oft_|boft_)")),
    ("IA3", re.compile(r"\.(on_input|ia3_l)$|\.ia3_l\.")),
    ("GLoRA", re.compile(r"\.[ab][12]\.weight$")),
    ("full difference", re.compile(r"\.diff(_b)?$")),
    ("trained norms", re.compile(r"\.(w|b)_norm$")),
    ("Tucker LoRA", re.compile(r"\.lora_mid\.weight$")),
    ("LoRA with biases", re.compile(r"\.lora_[AB]\.bias$")),
    ("textual inversion", re.compile(r"^bundle_emb\.|^emb_params$|^clip_[lg]$")),
)
"""Kinds of adapter that diffusers and peft would load wrongly or not at all."""

_FAMILY_BY_CONTEXT: Final = {768: "SD 1.5", 1024: "SD 2", 2048: "SDXL", 4096: "SD 3 or Flux"}
"""Width of the text embeddings that a cross-attention layer reads → base model."""


Pairs = dict[str, dict[str, str]]
"""Name of a module in the file → role (down, up, alpha) → name of a tensor."""


@dataclass(frozen=True, slots=True)
class Delta:
    """One pair of a LoRA: the weight of `target` becomes W + weight · (alpha / rank) · up @ down.

    down: shape (rank, in[, height, width]); up: (out, rank[, 1, 1]); on the CPU, as in the file.
    """

    target: Target
    down: torch.Tensor
    up: torch.Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return int(self.down.shape[0])


@dataclass(frozen=True, slots=True)
class AdapterFile:
    """What of a file fits the model. total: pairs in the file, matched or not."""

    deltas: tuple[Delta, ...]
    total: int


def check_header(path: Path, owner: Owner) -> Header:
    """Refuse what is no LoRA in a .safetensors file, without reading a number of it."""
    if path.stat().st_size > FILE_LIMIT:
        raise owner.failed("too_large", limit=FILE_LIMIT // 2**30)
    try:
        header = read_header(path)
    except NotSafetensors as error:
        raise owner.failed("not_safetensors", reason=str(error)) from None
    for kind, pattern in _FOREIGN:
        if any(pattern.search(name) for name in header.shapes):
            raise owner.failed("unsupported", kind=kind)
    return header


def read(path: Path, known: Mapping[str, Target], owner: Owner) -> AdapterFile:
    """Read and check a whole LoRA file. Raises JobFailed.

    known: from `adapter_names.targets` of the model it is for.
    """
    header = check_header(path, owner)
    pairs = _pairs(header)
    family = _family(pairs, header)
    matched = {name: keys for name, keys in pairs.items() if name in known}
    if not matched:
        raise owner.failed("matches_nothing", tensors=len(header.shapes))
    for name, keys in matched.items():
        _check_shapes(name, keys, header, known[name], family, owner)
    with safe_open(path, framework="pt") as file:
        alphas = _alphas_of_metadata(file.metadata() or {})
        deltas = tuple(
            _delta(file, name, keys, known[name], alphas, owner) for name, keys in matched.items()
        )
    return AdapterFile(deltas, len(pairs))


def _pairs(header: Header) -> Pairs:
    """The pairs of a file; a tensor that belongs to none counts as one."""
    pairs: Pairs = {}
    for tensor in header.shapes:
        for role, pattern in _ROLES:
            match = pattern.fullmatch(tensor)
            if match:
                pairs.setdefault(match[1], {})[role] = tensor
                break
        else:
            pairs[tensor] = {}
    return pairs


def _check_shapes(
    name: str,
    keys: Mapping[str, str],
    header: Header,
    target: Target,
    family: str,
    owner: Owner,
) -> None:
    if not {"down", "up"} <= keys.keys():
        raise owner.failed("broken", module=name)
    down, up = header.shapes[keys["down"]], header.shapes[keys["up"]]
    alpha = header.shapes.get(keys.get("alpha", ""), ())
    if len(down) < 2 or len(up) < 2 or down[0] != up[1] or not down[0] or math.prod(alpha) != 1:
        raise owner.failed("broken", module=name)
    if down[0] > RANK_LIMIT:
        raise owner.failed("rank_too_high", module=name, rank=down[0], limit=RANK_LIMIT)
    wanted_down, wanted_up = _wanted(target, down[0])
    if _trimmed(down) != _trimmed(wanted_down) or _trimmed(up) != _trimmed(wanted_up):
        raise owner.failed(
            "other_shape",
            module=name,
            found=_spelled((up[0], *down[1:])),
            expected=_spelled(target.shape),
            family=family,
        )


def _wanted(target: Target, rank: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    out, *rest = target.shape
    return (rank, *rest), (out, rank, *(1 for _ in rest[1:]))


def _trimmed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without the 1×1 that a convolution has more than the Linear which does the same."""
    return shape[:2] if all(side == 1 for side in shape[2:]) else shape


def _spelled(shape: tuple[int, ...]) -> str:
    return "×".join(str(side) for side in shape)


OTHER_FAMILY = "another base model"


def _family(pairs: Pairs, header: Header) -> str:
    """The base model that a file was made for, told by its first cross-attention layer."""
    for name, keys in pairs.items():
        if "down" in keys and re.search(r"attn2[._](processor\.)?to[._][kv]$", name):
            return _FAMILY_BY_CONTEXT.get(header.shapes[keys["down"]][1], OTHER_FAMILY)
    return OTHER_FAMILY


def _alphas_of_metadata(metadata: Mapping[str, str]) -> dict[str, float]:
    """Alphas that diffusers ≥ 0.35 keeps beside the tensors: `<part>.lora_alpha` and patterns."""
    try:
        config = json.loads(metadata.get("lora_adapter_metadata", "{}"))
        alphas: dict[str, float] = {}
        for key, value in config.items():
            part, _, option = key.partition(".")
            if option == "lora_alpha":
                alphas[part] = float(value)
            elif option == "alpha_pattern":
                alphas |= {f"{part}.{path.lstrip('^')}": float(a) for path, a in value.items()}
    except (ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return alphas


def _delta(
    file: Any,
    name: str,
    keys: Mapping[str, str],
    target: Target,
    alphas: Mapping[str, float],
    owner: Owner,
) -> Delta:
    owner.check_stop()
    down, up = file.get_tensor(keys["down"]), file.get_tensor(keys["up"])
    rank = int(down.shape[0])
    by_metadata = alphas.get(f"{target.part}.{target.path}", alphas.get(target.part, float(rank)))
    alpha = float(file.get_tensor(keys["alpha"]).item()) if "alpha" in keys else by_metadata
    if not (down.is_floating_point() and up.is_floating_point()):
        raise owner.failed("broken", module=name)
    numbers = (torch.tensor(alpha), down.float(), up.float())  # isfinite knows no 8-bit numbers
    if not all(bool(tensor.isfinite().all()) for tensor in numbers):
        raise owner.failed("not_finite", module=name)
    wanted_down, wanted_up = _wanted(target, rank)
    return Delta(target, down.reshape(wanted_down), up.reshape(wanted_up), alpha)
