"""The tensors of a .safetensors file in one buffer in RAM, checked for NaN and infinity."""

import math
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from catalog.weight_files import Header

_DTYPES: Final = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_LARGEST: Final[dict[str, tuple[type[Any], int]]] = {
    "F64": (np.int64, 0x7FEF_FFFF_FFFF_FFFF),
    "F32": (np.int32, 0x7F7F_FFFF),
    "F16": (np.int16, 0x7BFF),
    "BF16": (np.int16, 0x7F7F),
    "F8_E4M3": (np.int8, 0x7E),
    "F8_E5M2": (np.int8, 0x7B),
}
"""The bits of the largest finite number as an integer; without their signs, all infinities and
NaNs are greater."""
PIECE: Final = 16 * 2**20
"""Bytes read at once: between two checks whether the job was stopped, and before they are hashed
while the next are read."""
_LOOK: Final = 2**18
"""Numbers checked at once, so that they stay in the CPU's cache."""


class CutOffError(Exception):
    """The file became shorter while it was read."""


class FileTensors:
    """All tensors of a file. They share one buffer, which lives as long as any of them.

    The file is read, not mapped: it may be replaced or truncated while its tensors are in use.
    """

    def __init__(self, header: Header) -> None:
        """Room for the tensors that `header` describes; `fill` reads them."""
        self._header = header
        self.nbytes = max(
            (start + header.sizes[name] for name, start in header.starts.items()), default=0
        )
        self._buffer = torch.empty(self.nbytes, dtype=torch.uint8)
        self._bytes: np.ndarray[Any, np.dtype[np.uint8]] = self._buffer.numpy()
        self._numbers: dict[torch.dtype, torch.Tensor] = {}

    @classmethod
    def read(cls, path: Path, header: Header, check_stop: Callable[[], None]) -> "FileTensors":
        """The tensors of the file at `path`. Raises as `fill`, and what check_stop raises."""
        tensors = cls(header)
        with path.open("rb", buffering=0) as file:
            file.seek(header.data_start)
            for _ in tensors.fill(file):
                check_stop()
        return tensors

    @property
    def whole(self) -> memoryview:
        """The buffer."""
        into: Any = self._bytes
        return memoryview(into)

    def fill(self, file: FileIO) -> Iterator[memoryview]:
        """Read the tensors from `file`, which stands at the first; yields each piece when read.

        Raises CutOffError, OSError.
        """
        into, done = self.whole, 0
        while done < self.nbytes:
            count = file.readinto(into[done : done + PIECE])
            if not count:
                raise CutOffError
            yield into[done : done + count]
            done += count

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor of the file, in its dtype, on the CPU. KeyError when torch lacks that dtype."""
        dtype, start = _DTYPES[self._header.dtypes[name]], self._header.starts[name]
        shape = self._header.shapes[name]
        if start % dtype.itemsize:  # the format does not guarantee alignment
            raw = self._buffer[start : start + self._header.sizes[name]]
            return raw.clone().view(dtype).reshape(shape)
        if dtype not in self._numbers:
            whole = self.nbytes - self.nbytes % dtype.itemsize
            self._numbers[dtype] = self._buffer[:whole].view(dtype)
        # One operation for each of some 3,000 tensors, where slicing and shaping take three.
        strides = [math.prod(shape[axis:]) for axis in range(1, len(shape) + 1)]
        return self._numbers[dtype].as_strided(shape, strides, start // dtype.itemsize)

    def is_finite(self, name: str) -> bool:
        """Whether a tensor has no NaN or infinity; integers never have."""
        dtype = self._header.dtypes[name]
        return dtype not in _LARGEST or self._finite(
            dtype, self._header.starts[name], self._header.sizes[name]
        )

    def all_finite(self, check_stop: Callable[[], None]) -> bool:
        """Whether no floating-point tensor of the file has NaN or infinity."""
        for run in self._runs():
            check_stop()
            if not self._finite(*run):
                return False
        return True

    def _finite(self, dtype: str, start: int, size: int) -> bool:
        # As integers and in this thread: torch's own check is 30 times slower, and its threads
        # wait for each other for seconds when the CPU is busy.
        integer, largest = _LARGEST[dtype]
        bits = self._bytes[start : start + size].view(integer)
        unsigned = np.iinfo(integer).max
        return all(
            (bits[begin : begin + _LOOK] & unsigned).max() <= largest
            for begin in range(0, len(bits), _LOOK)
        )

    def _runs(self) -> Iterator[tuple[str, int, int]]:
        """dtype, start and size of all floating-point data, neighbours of one dtype merged."""
        header = self._header
        run: tuple[str, int, int] | None = None
        for name in sorted(header.starts, key=header.starts.__getitem__):
            dtype, start, size = header.dtypes[name], header.starts[name], header.sizes[name]
            if dtype not in _LARGEST:
                continue
            if run and run[0] == dtype and run[1] + run[2] == start:
                run = (dtype, run[1], run[2] + size)
                continue
            if run:
                yield run
            run = (dtype, start, size)
        if run:
            yield run
