"""Tensors of a denoiser from the names of its authors to those of diffusers. Imports torch."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import torch

from bot.engine.patches.spelling import Originals, Share, shares_of

_LEAVES: Final = {"scale": "weight"}
"""Of a norm, as Black Forest Labs write it."""


def renamed(originals: Originals, stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`stored` by the names in diffusers; those that are not in `originals` keep theirs.

    What several modules share is cut into pieces, which share its memory; what is in another order
    is copied. Raises ValueError when a tensor cannot be cut.
    """
    table = [(_pattern(name), shares_of(of_model)) for name, of_model in originals.items()]
    found: dict[str, torch.Tensor] = {}
    parts: dict[str, dict[int, torch.Tensor]] = defaultdict(dict)
    for name, tensor in stored.items():
        path, _, leaf = name.rpartition(".")
        match, shares = next(
            ((match, shares) for form, shares in table if (match := form.fullmatch(path))),
            (None, ()),
        )
        if match is None:
            found[name] = tensor
            continue
        for share, piece in zip(shares, _cut(tensor, shares), strict=True):
            target = f"{share.path.format(*match.groups())}.{_LEAVES.get(leaf, leaf)}"
            if share.of == 1:
                found[target] = piece
            else:
                parts[target][share.number] = piece
    for target, pieces in parts.items():
        found[target] = torch.cat([pieces[number] for number in sorted(pieces)])
    return found


def _cut(tensor: torch.Tensor, shares: Sequence[Share]) -> tuple[torch.Tensor, ...]:
    """The rows of each. Raises ValueError."""
    row, rest = divmod(len(tensor), sum(share.high for share in shares))
    if rest:
        raise ValueError(f"{len(tensor)} rows cannot be cut for {[share.path for share in shares]}")
    return tensor.split([row * share.high for share in shares])


def _pattern(name: str) -> re.Pattern[str]:
    """Names like `name`, whose `{}` are numbers."""
    return re.compile(re.escape(name).replace(r"\{\}", r"(\d+)"))
