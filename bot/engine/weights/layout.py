"""The layout of one network's parameters in one buffer."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

import torch

from bot.engine.weights.eight_bits import encode
from bot.engine.weights.formats import Formats

ALIGNMENT: Final = 256
"""Bytes. The alignment that CUDA's allocator guarantees and vectorised kernels require."""
_OUTLINE: Final = 16
"""Digits, of 64."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One contiguous parameter of `shape`, at bytes `start` … `start + size` of the buffer.

    dtype: of its numbers there. scales: the byte at which the scale of each row begins, in fp32,
    where the numbers are in 8 bits; None where they are the parameter itself.
    """

    start: int
    size: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    scales: int | None = None

    @property
    def end(self) -> int:
        """The byte after the last of its numbers and scales."""
        if self.scales is None:
            return self.start + self.size
        return self.scales + self.shape[0] * torch.float32.itemsize

    def moved(self, by: int) -> "Slot":
        """The same, `by` bytes further on."""
        scales = None if self.scales is None else self.scales + by
        return replace(self, start=self.start + by, scales=scales)


@dataclass(frozen=True, slots=True)
class Layout:
    """Parameter names → their places in a buffer of `size` bytes.

    One buffer means one copy, at the full speed of the bus, and addresses that do not change with
    the weights, so that compiled code and captured graphs stay valid.

    dtype: what most of the parameters are stored as.
    """

    slots: Mapping[str, Slot]
    size: int
    dtype: torch.dtype

    @classmethod
    def of(cls, module: torch.nn.Module, formats: Formats) -> "Layout":
        """The layout of every parameter of `module`, which may be on the meta device, before any is
        stored in 8 bits."""
        slots, end = {}, 0
        for name, parameter in module.named_parameters():
            dtype = formats.dtype_of(name)
            size = parameter.numel() * dtype.itemsize
            slots[name] = Slot(end, size, tuple(parameter.shape), dtype)
            end += _aligned(size)
        return cls(slots, end, formats.dtype)

    def in_eight_bits(self, names: Collection[str]) -> "Layout":
        """The same parameters, those of `names` (matrices) in int8 with a scale for each row."""
        if not names:
            return self
        slots, end = {}, 0
        for name, slot in self.slots.items():
            if name in names:
                rows, columns = slot.shape
                scales = end + _aligned(rows * columns)
                slots[name] = Slot(end, rows * columns, slot.shape, torch.int8, scales)
            else:
                slots[name] = replace(slot, start=end)
            end = _aligned(slots[name].end)
        return Layout(slots, end, self.dtype)

    @property
    def dtypes(self) -> tuple[torch.dtype, ...]:
        """Of every parameter, in order."""
        return tuple(slot.dtype for slot in self.slots.values())

    @property
    def encoded(self) -> bool:
        """Whether any of its parameters is in 8 bits."""
        return any(slot.scales is not None for slot in self.slots.values())

    @property
    def outline(self) -> str:
        """Of the names and shapes of its parameters, whatever they are stored as: hex digits."""
        named = "\n".join(f"{name} {slot.shape}" for name, slot in self.slots.items())
        return hashlib.sha256(named.encode()).hexdigest()[:_OUTLINE]

    def begins(self, other: "Layout") -> bool:
        """Whether `other` has the same parameters in the same places, and perhaps more after."""
        return tuple(self.slots.items()) == tuple(islice(other.slots.items(), len(self.slots)))

    def view(self, buffer: torch.Tensor, name: str) -> torch.Tensor:
        """The numbers of `name` in `buffer` (uint8, `size` long), sharing its memory."""
        slot = self.slots[name]
        piece = buffer[slot.start : slot.start + slot.size]
        return piece.view(slot.dtype).view(slot.shape)

    def scales(self, buffer: torch.Tensor, name: str) -> torch.Tensor:
        """The scales of `name`, which is in 8 bits: (rows, 1), fp32, sharing `buffer`'s memory."""
        slot = self.slots[name]
        if slot.scales is None:
            raise ValueError(f"{name} has no scales: it is stored as {slot.dtype}")
        return buffer[slot.scales : slot.end].view(torch.float32).view(-1, 1)

    def span(self, buffer: torch.Tensor, name: str) -> torch.Tensor:
        """The bytes of `name` in `buffer`, scales included, sharing its memory."""
        slot = self.slots[name]
        return buffer[slot.start : slot.end]

    def store(self, buffer: torch.Tensor, name: str, value: torch.Tensor) -> None:
        """Write parameter `name` to `buffer`, in its format.

        value: of its shape, in any floating-point dtype, on the same device if it is in 8 bits.
        """
        numbers = self.view(buffer, name)
        if self.slots[name].scales is None:
            numbers.copy_(value)
        else:
            encode(value, numbers, self.scales(buffer, name))

    def windows(self, limit: int) -> Iterator[tuple[int, "Layout"]]:
        """Its parameters in groups of neighbours of up to `limit` bytes; a larger one is alone.

        Yields where a group begins in the whole, and the layout of the group by itself.
        """
        group: list[str] = []
        begin = 0
        for name, slot in self.slots.items():
            if group and _aligned(slot.end) - begin > limit:
                yield self.piece(group)
                group = []
            if not group:
                begin = slot.start
            group.append(name)
        if group:
            yield self.piece(group)

    def piece(self, names: Sequence[str]) -> tuple[int, "Layout"]:
        """Where neighbouring parameters begin in the whole, and the layout of these alone."""
        begin, end = self.slots[names[0]].start, self.slots[names[-1]].end
        slots = {name: self.slots[name].moved(-begin) for name in names}
        return begin, Layout(slots, _aligned(end) - begin, self.dtype)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
