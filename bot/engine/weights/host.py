"""Memory of this machine that a GPU copies from."""

import logging
from contextlib import suppress
from typing import Any

import torch

log = logging.getLogger(__name__)


class HostMemory:
    """A buffer in RAM, pinned if a GPU is to copy from it at the full speed of the bus.

    Registered with CUDA rather than taken from torch's pinned allocator, which rounds each block
    up to a power of two: 8 GiB for a UNet of 4.8.
    """

    def __init__(self, size: int, *, pinned: bool) -> None:
        self.buffer = torch.empty(size, dtype=torch.uint8)
        self._pinned = pinned and self._register(size)

    def _register(self, size: int) -> bool:
        runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        code = int(runtime.cudaHostRegister(self.buffer.data_ptr(), size, 0))
        if code:
            log.warning("%d MB could not be pinned (CUDA error %d)", size >> 20, code)
            # CUDA keeps the error, and torch would raise it at the next kernel of any job.
            with suppress(RuntimeError):
                torch.ones(1, device="cuda")
        return code == 0

    def settle(self) -> None:
        """Wait for pending copies from the buffer; then it may be written to, or freed."""
        if self._pinned:
            torch.cuda.synchronize()

    def __del__(self) -> None:
        if getattr(self, "_pinned", False):
            self.settle()
            runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
            runtime.cudaHostUnregister(self.buffer.data_ptr())
