"""Formats: what the parameters of a network are stored as, each of them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch

from bot.recipe import FORMAT


@dataclass(frozen=True, slots=True)
class Formats:
    """The formats of one network, chosen by its family for the card and the settings.

    dtype: what the network computes in. Every parameter is stored as that, except for:
    fp32: names as in diffusers' `_keep_in_fp32_modules`. A parameter that has one of them in its
        path, as a whole component, is stored in fp32.
    int8: a regular expression. The weights of linear layers whose whole path it matches are stored
        in 8 bits, with a scale for each row (see `weights.eight_bits`). "" for none.
    """

    dtype: torch.dtype
    fp32: tuple[str, ...] = ()
    int8: str = ""

    @property
    def plain(self) -> bool:
        """Whether all parameters are stored in the one dtype."""
        return not (self.int8 or (self.fp32 and self.dtype is not torch.float32))

    def __str__(self) -> str:
        """For a recipe, such as `bfloat16, norm_q in float32, int8`."""
        parts = [_name(self.dtype)]
        if self.fp32 and self.dtype is not torch.float32:
            parts.append(f"{' '.join(self.fp32)} in float32")
        if self.int8:
            parts.append("int8")
        return ", ".join(parts)

    def dtype_of(self, path: str) -> torch.dtype:
        """What the parameter at `path` is stored as, unless in 8 bits."""
        kept = any(name in self.fp32 for name in path.split("."))
        return torch.float32 if kept else self.dtype

    def in_eight_bits(self, module: torch.nn.Module) -> Iterator[tuple[str, torch.nn.Linear]]:
        """The linear layers of `module` whose weights are stored in 8 bits, by their paths.

        Raises ValueError for a layer that is a linear one of a special kind: whatever it adds to
        `forward`, or whoever reads its weight beside it, would be lost.
        """
        if not self.int8:
            return
        pattern = re.compile(self.int8)
        for path, inner in module.named_modules():
            if not isinstance(inner, torch.nn.Linear) or not pattern.fullmatch(path):
                continue
            if type(inner) is not torch.nn.Linear:
                raise ValueError(
                    f"{path} is a {type(inner).__name__}; only a plain Linear can be in 8 bits"
                )
            yield path, inner


def told(formats: Mapping[str, Formats], usual: torch.dtype) -> dict[str, str]:
    """The facts of a recipe about networks that are not all in `usual`, the dtype of the place.

    formats: by network.
    """
    return {
        network + FORMAT: str(each)
        for network, each in formats.items()
        if not each.plain or each.dtype != usual
    }


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
