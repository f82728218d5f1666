"""CUDA's streams, events and graphs on the CPU: a capture is a tape of operations."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class FakeCuda:
    """fail_at: `begin`, `call` or `end`, where the next capture fails. log: what was asked of CUDA.

    allocating: whether the allocator serves a graph's pool.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log: list[str] = []
        self.fail_at: str | None = None
        self.lost = False
        self.allocating = False
        self.capturing: Graph | None = None
        self.default = self.stream = Stream(self)
        for name, value in {
            "Stream": lambda: Stream(self),
            "Event": lambda **_: Event(self),
            "CUDAGraph": lambda: Graph(self),
            "current_stream": lambda: self.stream,
            "set_stream": lambda stream: setattr(self, "stream", stream),
            "stream": self.streaming,
            "synchronize": self.synchronize,
            "graph_pool_handle": lambda: (0, 1),
            "current_device": lambda: 0,
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", self.detach, raising=False)
        monkeypatch.setattr(torch.Tensor, "record_stream", lambda *_: None)

    @contextmanager
    def streaming(self, stream: Any) -> Iterator[None]:
        before, self.stream = self.stream, stream
        yield
        self.stream = before

    def detach(self, *_: Any) -> None:
        if not self.allocating:
            raise RuntimeError("not recording to this pool")
        self.allocating = False

    def synchronize(self) -> None:
        if self.capturing or self.lost:
            raise RuntimeError("the device cannot be synchronised")


class Stream:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def wait_stream(self, _: Any) -> None:
        pass


class Event:
    count = 0

    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def record(self) -> None:
        Event.count += 1
        self.number = Event.count
        self.cuda.log.append("record")

    def synchronize(self) -> None:
        self.cuda.log.append(f"wait {Event.count - self.number}")


class Tape(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, cuda: FakeCuda) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.cuda = cuda
        self.entries: list[Any] = []

    def __torch_dispatch__(self, func: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.cuda.fail_at == "call" and len(self.entries) == 3:
            raise RuntimeError("operation not permitted when stream is capturing")
        result = func(*args, **(kwargs or {}))
        self.entries.append((func, args, kwargs or {}, result))
        return result


class Graph:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda
        self.tape = Tape(cuda)

    def capture_begin(self, pool: Any, capture_error_mode: str) -> None:
        assert capture_error_mode == "thread_local"
        assert self.cuda.stream is not self.cuda.default, "the default stream cannot be captured"
        self.cuda.allocating = True
        if self.cuda.fail_at == "begin":
            raise RuntimeError("begin")
        self.cuda.capturing = self
        self.tape.__enter__()  # type: ignore[no-untyped-call]

    def capture_end(self) -> None:
        if self.cuda.capturing is not self:
            raise RuntimeError("capture_end() called before capture_begin()")
        self.tape.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        self.cuda.capturing = None
        if self.cuda.fail_at in {"call", "end"}:
            raise RuntimeError("capture was invalidated")  # as in torch 2.11, before it detaches
        self.cuda.allocating = False
        self.cuda.log.append("captured")
        for tensor in pytree.tree_leaves(self.tape.entries[-1][3]):
            tensor.fill_(float("nan"))  # nothing has run yet

    def replay(self) -> None:
        self.cuda.log.append("replay")
        for func, args, kwargs, result in self.tape.entries:
            new = pytree.tree_leaves(func(*args, **kwargs))
            for old, value in zip(pytree.tree_leaves(result), new, strict=True):
                if isinstance(old, torch.Tensor) and old.data_ptr() != value.data_ptr():
                    old.copy_(value)
