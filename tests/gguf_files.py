"""GGUF files for tests: a writer, and what each kind of block stands for, number by number.

The numbers follow `dequantize_row_*` in src/ggml-quants.c of github.com/ggml-org/ggml, in its order
of operations, with Python's floats rounded to fp32 where C rounds.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

NUMBERS = {
    "F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10,
    "Q3_K": 11, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "IQ4_NL": 20, "IQ4_XS": 23, "BF16": 30,
}  # fmt: skip
SIZES = {
    "F32": (1, 4), "F16": (1, 2), "BF16": (1, 2), "Q4_0": (32, 18), "Q4_1": (32, 20),
    "Q5_0": (32, 22), "Q5_1": (32, 24), "Q8_0": (32, 34), "Q4_K": (256, 144), "Q5_K": (256, 176),
    "Q6_K": (256, 210), "Q2_K": (256, 84), "Q3_K": (256, 110), "IQ4_NL": (32, 18),
    "IQ4_XS": (256, 136),
}  # fmt: skip
"""Numbers in a block, and its bytes."""

Tensor = tuple[str, Sequence[int], bytes]
"""The type's name, the shape, and the bytes."""


DTYPES = {"torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16"}


def plain(tensor: Any) -> Tensor:
    """A torch tensor as the plain numbers that it has; its shape as ggml keeps it, without the
    first axes of length 1."""
    import torch

    raw = tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()
    shape = [*tensor.shape] or [1]
    while len(shape) > 1 and shape[0] == 1:
        del shape[0]
    return DTYPES[str(tensor.dtype)], shape, raw


def text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack("<Q", len(raw)) + raw


def value(given: Any) -> bytes:
    """A value of the metadata with its type: a text, a whole number, or a list of either."""
    if isinstance(given, str):
        return struct.pack("<I", 8) + text(given)
    if isinstance(given, int):
        return struct.pack("<II", 4, given)
    if given and isinstance(given[0], str):
        return struct.pack("<IIQ", 9, 8, len(given)) + b"".join(map(text, given))
    return struct.pack("<IIQ", 9, 5, len(given)) + struct.pack(f"<{len(given)}i", *given)


def gguf(
    tensors: Mapping[str, Tensor], metadata: Mapping[str, Any] | None = None, alignment: int = 32
) -> bytes:
    said = {} if alignment == 32 else {"general.alignment": alignment}
    said |= metadata or {}
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(said))
    head += b"".join(text(key) + value(each) for key, each in said.items())
    data, offset = [], 0
    for name, (kind, shape, raw) in tensors.items():
        head += text(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}Q", *reversed(shape))
        head += struct.pack("<IQ", NUMBERS[kind], offset)
        padding = bytes(-len(raw) % alignment)
        data += [raw, padding]
        offset += len(raw) + len(padding)
    return head + bytes(-len(head) % alignment) + b"".join(data)


def written(path: Path, tensors: Mapping[str, Tensor], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf(tensors, **options))
    return path


def fp32(number: float) -> float:
    rounded: float = struct.unpack("<f", struct.pack("<f", number))[0]
    return rounded


def half(raw: bytes) -> float:
    number: float = struct.unpack("<e", raw)[0]
    return number


def signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte


def q4_0(b: bytes) -> list[float]:
    d = half(b[:2])
    low = [fp32(((x & 15) - 8) * d) for x in b[2:]]
    return low + [fp32(((x >> 4) - 8) * d) for x in b[2:]]


def q4_1(b: bytes) -> list[float]:
    d, m = half(b[:2]), half(b[2:4])
    low = [fp32(fp32((x & 15) * d) + m) for x in b[4:]]
    return low + [fp32(fp32((x >> 4) * d) + m) for x in b[4:]]


def fifth(qh: int, number: int) -> int:
    return (qh >> number & 1) << 4


def q5_0(b: bytes) -> list[float]:
    d, qh = half(b[:2]), int.from_bytes(b[2:6], "little")
    low = [fp32(((x & 15 | fifth(qh, j)) - 16) * d) for j, x in enumerate(b[6:])]
    return low + [fp32(((x >> 4 | fifth(qh, j + 16)) - 16) * d) for j, x in enumerate(b[6:])]


def q5_1(b: bytes) -> list[float]:
    d, m, qh = half(b[:2]), half(b[2:4]), int.from_bytes(b[4:8], "little")
    low = [fp32(fp32((x & 15 | fifth(qh, j)) * d) + m) for j, x in enumerate(b[8:])]
    return low + [fp32(fp32((x >> 4 | fifth(qh, j + 16)) * d) + m) for j, x in enumerate(b[8:])]


def q8_0(b: bytes) -> list[float]:
    return [fp32(signed(x) * half(b[:2])) for x in b[2:]]


def scale_min(j: int, q: bytes) -> tuple[int, int]:
    if j < 4:
        return q[j] & 63, q[j + 4] & 63
    return q[j + 4] & 15 | q[j - 4] >> 6 << 4, q[j + 4] >> 4 | q[j] >> 6 << 4


def q4_k(b: bytes) -> list[float]:
    return _of_super_block(b, b[16:], lambda part, place: 0)


def q5_k(b: bytes) -> list[float]:
    qh = b[16:48]
    return _of_super_block(b, b[48:], lambda part, place: (qh[place] >> part & 1) << 4)


def _of_super_block(b: bytes, qs: bytes, more: Callable[[int, int], int]) -> list[float]:
    d, least, found = half(b[:2]), half(b[2:4]), []
    for pair in range(4):
        for side in range(2):
            part = 2 * pair + side
            scale, minimum = scale_min(part, b[4:16])
            for place, x in enumerate(qs[32 * pair : 32 * pair + 32]):
                q = (x >> 4 if side else x & 15) + more(part, place)
                found.append(fp32(fp32(fp32(d * scale) * q) - fp32(least * minimum)))
    return found


def q6_k(b: bytes) -> list[float]:
    ql, qh, scales, d = b[:128], b[128:192], b[192:208], half(b[208:])
    found = [0.0] * 256
    for n in range(2):
        for place in range(32):
            high = qh[32 * n + place]
            low, next_low = ql[64 * n + place], ql[64 * n + place + 32]
            quarters = (low & 15, next_low & 15, low >> 4, next_low >> 4)
            for quarter, bits in enumerate(quarters):
                q = (bits | (high >> 2 * quarter & 3) << 4) - 32
                scale = signed(scales[8 * n + place // 16 + 2 * quarter])
                found[128 * n + 32 * quarter + place] = fp32(fp32(d * scale) * q)
    return found


STANDS_FOR: dict[str, Callable[[bytes], list[float]]] = {
    "Q4_0": q4_0, "Q4_1": q4_1, "Q5_0": q5_0, "Q5_1": q5_1, "Q8_0": q8_0, "Q4_K": q4_k,
    "Q5_K": q5_k, "Q6_K": q6_k,
}  # fmt: skip
HALVES = {
    "Q4_0": (0,), "Q4_1": (0, 2), "Q5_0": (0,), "Q5_1": (0, 2), "Q8_0": (0,), "Q4_K": (0, 2),
    "Q5_K": (0, 2), "Q6_K": (208,),
}  # fmt: skip
"""Where the fp16 numbers of a block are."""


def blocks(chance: Any, kind: str, number: int, size: float = 0.01) -> bytes:
    """Blocks of any bits, with scales up to `size`. chance: a `random.Random`."""
    found = b""
    for _ in range(number):
        block = bytearray(chance.randbytes(SIZES[kind][1]))
        for at in HALVES[kind]:
            block[at : at + 2] = struct.pack("<e", chance.uniform(-size, size))
        found += bytes(block)
    return found


def stands_for(kind: str, raw: bytes) -> list[float]:
    """The numbers of whole blocks."""
    size = SIZES[kind][1]
    decoded = STANDS_FOR[kind]
    return [n for at in range(0, len(raw), size) for n in decoded(raw[at : at + size])]
