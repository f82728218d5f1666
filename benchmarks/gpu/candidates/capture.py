"""Capturing CUDA graphs so that a failure leaves nothing behind; see graphs.py."""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import torch

log = logging.getLogger(__name__)


class Device(Protocol):
    """What graphs need of CUDA."""

    def warm_up(self, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Run `call` on the stream of captures; returns its result, ready for the current one.

        What libraries set up at their first call on a stream must not be recorded.
        """

    def capture(
        self, call: Callable[[], torch.Tensor]
    ) -> tuple[torch.Tensor, Callable[[], object]]:
        """Record `call` without running it; returns where its result will be, and the replay.

        Raises what `call` or CUDA raises. In any case nothing is being captured afterwards, and
        the current stream is the one from before.
        """

    def event(self) -> Any:
        """An event that was recorded on the current stream, with `synchronize`."""

    def check(self) -> None:
        """Wait for the device. Raises its error when it cannot be used any more."""

    def forget(self) -> None:
        """Release what captures share. No replay may be used any more."""


class Cuda:
    """The device of torch.cuda."""

    def __init__(self) -> None:
        self._stream: Any = None
        self._pool: Any = None

    def warm_up(self, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        """See `Device`."""
        if self._stream is None:
            self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            result = call()
        current.wait_stream(self._stream)
        result.record_stream(current)
        return result

    def capture(
        self, call: Callable[[], torch.Tensor]
    ) -> tuple[torch.Tensor, Callable[[], object]]:
        """See `Device`. Call `warm_up` with the same call before."""
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        before = torch.cuda.current_stream()
        self._stream.wait_stream(before)
        try:
            torch.cuda.set_stream(self._stream)
            result = self._recorded(graph, call)
        finally:
            torch.cuda.set_stream(before)
        return result, graph.replay

    def _recorded(self, graph: Any, call: Callable[[], torch.Tensor]) -> torch.Tensor:
        try:
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")
            result = call()
        except BaseException:
            self._abort(graph)
            raise
        try:
            graph.capture_end()
        except BaseException:
            self._detach()
            raise
        return result

    def _abort(self, graph: Any) -> None:
        """Leave a capture that failed; its own error is the one that matters."""
        try:
            graph.capture_end()
        except Exception:
            log.debug("the failed capture ended with an error", exc_info=True)
        self._detach()

    def _detach(self) -> None:
        """Have the allocator stop serving the graph's pool, as `capture_end` does at its end.

        Raises nothing: where `capture_end` came that far, it is detached already.
        """
        end: Any = getattr(torch._C, "_cuda_endAllocateToPool", None)
        if end is None:
            return
        try:
            end(torch.cuda.current_device(), self._pool)
        except Exception:
            log.debug("the allocator was detached already", exc_info=True)

    def event(self) -> Any:
        """See `Device`."""
        # Blocking: the thread sleeps rather than keeping a core busy.
        event: Any = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def check(self) -> None:
        """See `Device`."""
        torch.cuda.synchronize()

    def forget(self) -> None:
        """See `Device`."""
        self._stream = self._pool = None
