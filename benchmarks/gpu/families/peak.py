"""The most memory that torch had on the device meanwhile."""

from typing import Any

import torch

GIB = 2**30


def allocated() -> int:
    """Bytes that tensors have on the device now; 0 without CUDA."""
    return torch.cuda.memory_allocated() if torch.cuda.is_available() else 0


class Peak:
    """Within the block, the peaks begin anew; after it, they are known.

    less: bytes that something else has there.
    allocated: bytes that tensors had; None without CUDA. reserved: that the allocator had for them.
    """

    def __init__(self, less: int = 0) -> None:
        self._less = less
        self.allocated: int | None = None
        self.reserved: int | None = None

    def __enter__(self) -> "Peak":
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        return self

    def __exit__(self, *_: object) -> None:
        if torch.cuda.is_available():
            self.allocated = torch.cuda.max_memory_allocated() - self._less
            self.reserved = torch.cuda.max_memory_reserved() - self._less

    def __str__(self) -> str:
        if self.allocated is None or self.reserved is None:
            return "memory not measured"
        return f"{self.allocated / GIB:.2f} GiB allocated, {self.reserved / GIB:.2f} reserved"

    @property
    def numbers(self) -> dict[str, Any]:
        """For a Figure."""
        if self.allocated is None or self.reserved is None:
            return {}
        return {"allocated": float(self.allocated), "reserved": float(self.reserved)}
