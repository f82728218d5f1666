"""The numbers of a .safetensors file in RAM: one buffer, one look at each number."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import torch

from bot.engine.safetensors_file import Header

_DTYPES: Final = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_READ: Final = 64 * 2**20
"""Bytes between two looks at whether the job was stopped."""
_LOOK: Final = 2**20
"""Numbers checked at once."""


class CutOffError(Exception):
    """The file became shorter while it was read."""


class Contents:
    """All tensors of a file. They share one buffer, which lives as long as any of them.

    The file is read, not mapped: it may be replaced or cut while its numbers are in use.
    """

    def __init__(self, path: Path, header: Header, check_stop: Callable[[], None]) -> None:
        """Raises CutOffError, OSError, whatever check_stop raises."""
        self._header = header
        self.nbytes = max(
            (start + header.sizes[name] for name, start in header.starts.items()), default=0
        )
        self._buffer = torch.empty(self.nbytes, dtype=torch.uint8)
        view: Any = self._buffer.numpy()
        with path.open("rb", buffering=0) as file:
            file.seek(header.data_start)
            done = 0
            while done < self.nbytes:
                check_stop()
                count = file.readinto(view[done : done + _READ])
                if not count:
                    raise CutOffError
                done += count

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor of the file, in the file's dtype, on the CPU. KeyError when torch has none."""
        header = self._header
        numbers = self._numbers(
            _DTYPES[header.dtypes[name]], header.starts[name], header.sizes[name]
        )
        return numbers.reshape(header.shapes[name])

    def all_finite(self, check_stop: Callable[[], None]) -> bool:
        """Whether no floating-point number of the file is NaN or infinite."""
        for dtype, start, size in self._runs():
            numbers = self._numbers(dtype, start, size)
            for begin in range(0, len(numbers), _LOOK):
                check_stop()
                if not is_finite(numbers[begin : begin + _LOOK]):
                    return False
        return True

    def _numbers(self, dtype: torch.dtype, start: int, size: int) -> torch.Tensor:
        raw = self._buffer[start : start + size]
        if start % dtype.itemsize:
            raw = raw.clone()  # the format does not promise that numbers are aligned
        return raw.view(dtype)

    def _runs(self) -> Iterator[tuple[torch.dtype, int, int]]:
        """dtype, start and size of all floating-point numbers, neighbours of one dtype together."""
        header = self._header
        run: tuple[torch.dtype, int, int] | None = None
        for name in sorted(header.starts, key=header.starts.__getitem__):
            dtype, start = _DTYPES.get(header.dtypes[name]), header.starts[name]
            if dtype is None or not dtype.is_floating_point:
                continue
            size = header.sizes[name]
            if run and run[0] == dtype and run[1] + run[2] == start:
                run = (dtype, run[1], run[2] + size)
                continue
            if run:
                yield run
            run = (dtype, start, size)
        if run:
            yield run


def is_finite(numbers: torch.Tensor) -> bool:
    """Whether none is NaN or infinite: both show in the extremes, which are found in one pass."""
    if numbers.numel() == 0:
        return True
    if numbers.dtype.itemsize == 1:
        numbers = numbers.float()  # 8-bit numbers know no comparison
    low, high = numbers.aminmax()
    return math.isfinite(low.item()) and math.isfinite(high.item())
