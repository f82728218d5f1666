"""The layout of one network's parameters in one buffer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import torch

ALIGNMENT: Final = 256
"""Bytes. The alignment that CUDA's allocator guarantees and vectorised kernels require."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One contiguous parameter of `shape`, at bytes `start` … `start + size` of the buffer."""

    start: int
    size: int
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Parameter names → their places in a buffer of `size` bytes that holds them as `dtype`.

    One buffer means one copy, at the full speed of the bus, and addresses that do not change with
    the weights, so that compiled code and captured graphs stay valid.
    """

    slots: Mapping[str, Slot]
    size: int
    dtype: torch.dtype

    @classmethod
    def of(cls, module: torch.nn.Module, dtype: torch.dtype) -> "Layout":
        """The layout of every parameter of `module`, which may be on the meta device."""
        slots, end = {}, 0
        for name, parameter in module.named_parameters():
            size = parameter.numel() * dtype.itemsize
            slots[name] = Slot(end, size, tuple(parameter.shape))
            end += -(-size // ALIGNMENT) * ALIGNMENT
        return cls(slots, end, dtype)

    def view(self, buffer: torch.Tensor, name: str) -> torch.Tensor:
        """Parameter `name` in `buffer` (uint8, `size` long), sharing its memory."""
        slot = self.slots[name]
        piece = buffer[slot.start : slot.start + slot.size]
        return piece.view(self.dtype).view(slot.shape)
