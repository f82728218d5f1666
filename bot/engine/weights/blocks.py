"""Numbers that .gguf files pack in blocks, as the plain numbers that they stand for.

The reference is `dequantize_row_*` in src/ggml-quants.c of github.com/ggml-org/ggml, and the
layouts of the blocks are in src/ggml-common.h there. Each value here is the one computed there, to
the bit: all products but Q6_K's are exact in fp32, and what rounds is done in the same order.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch

from catalog.weight_files.gguf import BLOCKS

AT_ONCE: Final = 2**20
"""Elements that are unpacked at once, in fp32; they stay in the CPU's cache."""


@dataclass(frozen=True, slots=True)
class Packed:
    """How a tensor lies in its file. packing: a key of `BLOCKS`. shape: of what it stands for."""

    packing: str
    shape: tuple[int, ...]


def unpacked(raw: torch.Tensor, packed: Packed, dtype: torch.dtype) -> torch.Tensor:
    """The numbers in `raw` (uint8, on the CPU, whole blocks), rounded once from fp32 to `dtype`."""
    packing = BLOCKS[packed.packing]
    blocks = raw.view(-1, packing.size)
    found = torch.empty(len(blocks), packing.block, dtype=dtype)
    step = AT_ONCE // packing.block
    for at in range(0, len(blocks), step):
        found[at : at + step].copy_(_UNPACK[packed.packing](blocks[at : at + step]))
    return found.view(packed.shape)


def _half(blocks: torch.Tensor, at: int) -> torch.Tensor:
    """(n, 1): the fp16 number at byte `at` of each block."""
    return blocks[:, at : at + 2].contiguous().view(torch.float16).float()


def _low_high(quants: torch.Tensor) -> torch.Tensor:
    """(…, 2·n): the low four bits of all bytes of (…, n), then the high ones."""
    return torch.cat((quants & 15, quants >> 4), dim=-1)


def _fifth(blocks: torch.Tensor, at: int) -> torch.Tensor:
    """(n, 32): bit i of the 32-bit number at byte `at`, as 16 or 0."""
    bits = blocks[:, at : at + 4, None] >> torch.arange(8, dtype=torch.uint8)
    return ((bits & 1) << 4).view(len(blocks), 32)


def _q4_0(blocks: torch.Tensor) -> torch.Tensor:
    return _half(blocks, 0) * (_low_high(blocks[:, 2:]).float() - 8)


def _q4_1(blocks: torch.Tensor) -> torch.Tensor:
    return _half(blocks, 0) * _low_high(blocks[:, 4:]) + _half(blocks, 2)


def _q5_0(blocks: torch.Tensor) -> torch.Tensor:
    quants = _low_high(blocks[:, 6:]) | _fifth(blocks, 2)
    return _half(blocks, 0) * (quants.float() - 16)


def _q5_1(blocks: torch.Tensor) -> torch.Tensor:
    quants = _low_high(blocks[:, 8:]) | _fifth(blocks, 4)
    return _half(blocks, 0) * quants + _half(blocks, 2)


def _q8_0(blocks: torch.Tensor) -> torch.Tensor:
    return _half(blocks, 0) * blocks[:, 2:].contiguous().view(torch.int8)


def _scales_and_minima(blocks: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(n, 8, 1) each, for the eight parts of a block of 256: `get_scale_min_k4`."""
    first, second, rest = blocks[:, 4:8], blocks[:, 8:12], blocks[:, 12:16]
    scales = torch.cat((first & 63, (rest & 15) | ((first >> 6) << 4)), dim=1)
    minima = torch.cat((second & 63, (rest >> 4) | ((second >> 6) << 4)), dim=1)
    return (
        (_half(blocks, 0) * scales).unsqueeze(-1),
        (_half(blocks, 2) * minima).unsqueeze(-1),
    )


def _of_four(quants: torch.Tensor) -> torch.Tensor:
    """(n, 8, 32): of 128 bytes, each 32 have the low bits of one part and the high ones of the
    next."""
    return _low_high(quants.view(-1, 4, 32)).view(-1, 8, 32)


def _q4_k(blocks: torch.Tensor) -> torch.Tensor:
    scales, minima = _scales_and_minima(blocks)
    return (scales * _of_four(blocks[:, 16:].contiguous()) - minima).view(-1, 256)


def _q5_k(blocks: torch.Tensor) -> torch.Tensor:
    scales, minima = _scales_and_minima(blocks)
    # Bit i of the 32 bytes is the fifth bit of part i.
    fifth = (blocks[:, None, 16:48] >> torch.arange(8, dtype=torch.uint8)[:, None]) & 1
    quants = _of_four(blocks[:, 48:].contiguous()) | (fifth << 4)
    return (scales * quants - minima).view(-1, 256)


def _q6_k(blocks: torch.Tensor) -> torch.Tensor:
    low = _low_high(blocks[:, :128].contiguous().view(-1, 2, 64)).view(-1, 8, 32)
    # Each half of 128 numbers has 64 bytes of low bits, and 32 with two bits for each quarter.
    pairs = blocks[:, 128:192].contiguous().view(-1, 2, 1, 32)
    high = (pairs >> torch.arange(0, 8, 2, dtype=torch.uint8)[:, None]) & 3
    quants = (low | (high.view(-1, 8, 32) << 4)).float() - 32
    scales = _half(blocks, 208) * blocks[:, 192:208].contiguous().view(torch.int8)
    return (scales.unsqueeze(-1) * quants.view(-1, 16, 16)).view(-1, 256)


_UNPACK: Final[dict[str, Callable[[torch.Tensor], torch.Tensor]]] = {
    "Q4_0": _q4_0,
    "Q4_1": _q4_1,
    "Q5_0": _q5_0,
    "Q5_1": _q5_1,
    "Q8_0": _q8_0,
    "Q4_K": _q4_k,
    "Q5_K": _q5_k,
    "Q6_K": _q6_k,
}
