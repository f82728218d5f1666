"""Memory of this machine that a GPU copies from."""

import logging
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import torch

log = logging.getLogger(__name__)


class HostMemory:
    """A buffer in RAM, pinned if a GPU is to copy from it at the full speed of the bus.

    Registered with CUDA rather than taken from torch's pinned allocator, which rounds each block
    up to a power of two: 8 GiB for a UNet of 4.8.

    gpu: the device that is to copy from it, e.g. `cuda:1`; None for none. It is named in each call,
    because threads that read files, and whichever collects garbage, have another current one.
    """

    def __init__(self, size: int, *, gpu: str | None) -> None:
        self.buffer = torch.empty(size, dtype=torch.uint8)
        self._gpu = gpu
        self._pinned = gpu is not None and self._register(size)

    def _register(self, size: int) -> bool:
        runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
        with self._current():
            code = int(runtime.cudaHostRegister(self.buffer.data_ptr(), size, 0))
        if code:
            log.warning("%d MB could not be pinned (CUDA error %d)", size >> 20, code)
            # CUDA keeps the error, and torch would raise it at the next kernel of any job.
            with suppress(RuntimeError):
                torch.ones(1, device=self._gpu)
        return code == 0

    def _current(self) -> AbstractContextManager[Any]:
        """Makes the card the current one of this thread, if it was chosen by its number."""
        one = self._gpu is not None and ":" in self._gpu
        return torch.cuda.device(self._gpu) if one else nullcontext()

    def settle(self) -> None:
        """Wait for pending copies from the buffer; then it may be written to, or freed."""
        if self._pinned:
            torch.cuda.synchronize(self._gpu)

    def __del__(self) -> None:
        if getattr(self, "_pinned", False):
            self.settle()
            runtime: Any = torch.cuda.cudart()  # type: ignore[no-untyped-call]
            with self._current():
                runtime.cudaHostUnregister(self.buffer.data_ptr())
