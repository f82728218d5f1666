"""CUDA graphs of a denoiser: its kernels recorded once per shape, then launched as a whole.

One evaluation of SDXL's UNet is some 1,900 kernels, and a fast card waits for Python to launch
them. A graph launches the same kernels, so the image has the same bits.

What a graph bakes in, and how each is kept true:

- Addresses. Inputs are copied into buffers that belong to the graph. Weights are changed in place
  (see weights/part.py), which a graph sees. Parking and waking, another model shape and another
  reference adapter move or replace tensors; `state_of` compares all of them before every pass.
- Numbers in Python, such as a reference's weight, and torch's settings: part of `state_of`.
- cuBLAS' workspace. Destroying a graph frees that of its stream, which other graphs recorded on it
  use (PyTorch issue 193402). So graphs share a stream and a pool, and are only dropped together.

Why capturing failed before, and what is done about it:

- A capture that fails must be ended, or the stream stays in it and torch's allocator keeps handing
  out the graph's memory. In `torch.cuda.graph`, an error of `capture_end` skips restoring the
  stream, and in torch 2.11 also detaching the allocator. `Cuda.capture` does both itself. What it
  cannot end may stay in the capture: the device's generator of random numbers, which then refuses
  to draw, and pinned memory. So the process should be started again; benchmarks.gpu's row `failed
  capture` shows whether both still work.
- Other threads. A compiler thread synchronises the device, so nothing is captured while `busy`.
  Compiling begins in the engine's thread, which is the one that captures, so none begins meanwhile.
  Threads that only read files go on: the mode is `thread_local`.
- Garbage. Freeing pinned memory synchronises, so it is collected before, and not during a capture.
- After a failure there are no graphs in this process any more. If the device does not answer then,
  its error is raised, which makes the engine's process start again.

A replay returns at once, so the CPU would run ahead of cancelling, progress and the watchdog. It
waits for the step before the previous one; see RunAhead.

https://docs.pytorch.org/docs/2.13/notes/cuda.html#cuda-graphs. Not `mode="reduce-overhead"`: its
trees assert outside the thread that they began in.
"""

import gc
import logging
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch.utils import _pytree as pytree

from benchmarks.gpu.candidates.capture import Device
from bot.engine.kernels import KernelChoice, Kernels, Name, Shape

log = logging.getLogger(__name__)

GRAPHS_MAX: Final = 16
"""They share the memory of their intermediate results; each has inputs and a list of kernels."""
STEPS_AHEAD: Final = 2
"""How many steps may be waiting for the device when the next one is launched."""

Call = Callable[..., Any]
"""Returns a tuple whose first item is a tensor, as a UNet does without `return_dict`."""


class RunAhead:
    """Keeps the CPU at most STEPS_AHEAD steps ahead of the device."""

    def __init__(self, event: Callable[[], Any]) -> None:
        self._event = event
        self._pending: deque[Any] = deque()

    def wait(self) -> None:
        """Call before launching a step."""
        while len(self._pending) >= STEPS_AHEAD:
            self._pending.popleft().synchronize()

    def launched(self) -> None:
        """Call after launching a step."""
        self._pending.append(self._event())


@dataclass(frozen=True, slots=True)
class _Graph:
    """One captured call: its input buffers, where its result is, and which kernels it has."""

    inputs: Sequence[torch.Tensor]
    result: torch.Tensor
    replay: Callable[[], object]
    used: Name

    def __call__(self, given: Sequence[torch.Tensor]) -> torch.Tensor:
        for own, other in zip(self.inputs, given, strict=True):
            own.copy_(other)
        self.replay()
        return self.result.clone()  # the next replay, of any graph, overwrites it


class Graphs:
    """The graphs of one process.

    busy: whether another thread may be using the device; nothing is captured then.
    failure: why there are no graphs any more; None while there may be some.
    replays: how often graphs took the place of their kernels.

    A graph is used only after it has given the bits of the call that it was captured from, for the
    inputs of its capture and for others.
    """

    def __init__(self, device: Device, busy: Callable[[], bool]) -> None:
        self._device = device
        self._busy = busy
        self._graphs: dict[Hashable, _Graph | None] = {}
        self._home: int | None = None
        self.ahead = RunAhead(device.event)
        self.failure: str | None = None
        self.replays = 0

    def settle(self, module: torch.nn.Module) -> Hashable:
        """Drop all graphs if `module` has moved; returns its state, part of each graph's key."""
        home = next(module.parameters()).data_ptr()
        if home != self._home:
            self.forget()
            self._home = home
        return state_of(module)

    def find(self, key: Hashable) -> _Graph | None:
        """The graph of `key`, if there is one that may be used."""
        return self._graphs.get(key)

    def run(
        self,
        key: Hashable,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        used: Callable[[], Name],
    ) -> Any:
        """What `call` returns, while its graph is made if it can be.

        used: the kernels that `call` ran with, once it has run.
        Raises what `call` raises, and the device's error if it does not survive a failed capture.
        """
        if self.failure or key in self._graphs or self._busy():
            return call(*args, **kwargs)
        if len(self._graphs) >= GRAPHS_MAX:
            self._drop()
        result = call(*args, **kwargs)
        self._graphs[key] = None
        try:
            graph = self._captured(call, args, kwargs, used)
            proven = self._proven(graph, call, result[0], args, kwargs)
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
            log.warning("a CUDA graph cannot be captured; none are used from now on", exc_info=True)
            self._drop()
            self._device.check()
            return result
        if proven:
            self._graphs[key] = graph
        else:
            self.failure = "a CUDA graph gives other bits than its kernels"
            log.warning("%s; none are used from now on", self.failure)
            self._drop()
        return result

    def forget(self) -> None:
        """Release all graphs and their memory."""
        self._drop()
        self._home = None

    def _drop(self) -> None:
        if self._graphs:
            self._device.check()  # none may be running
        self._graphs = {}
        self._device.forget()

    def _captured(
        self,
        call: Call,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        used: Callable[[], Name],
    ) -> _Graph:
        own = _buffers((args, kwargs), _tensors((args, kwargs))[0].device)

        def once() -> torch.Tensor:
            result: torch.Tensor = call(*own[0], **own[1])[0]
            return result

        self._device.warm_up(once)
        with collected():
            result, replay = self._device.capture(once)
        return _Graph(_tensors(own), result, replay, used())

    def _proven(
        self,
        graph: _Graph,
        call: Call,
        result: torch.Tensor,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> bool:
        if not _same_bits(graph(_tensors((args, kwargs))), result):
            return False
        others, more = pytree.tree_map_only(torch.Tensor, lambda t: t * 0.75 + 0.25, (args, kwargs))
        return _same_bits(graph(_tensors((others, more))), call(*others, **more)[0])


class GraphedChoice:
    """One job's ways to run the denoiser, as a KernelChoice, by graphs where there are some."""

    def __init__(self, choice: KernelChoice, module: Any, graphs: Graphs) -> None:
        self._choice = choice
        self._module = module
        self._graphs = graphs
        self._replayed: Name | None = None

    @property
    def used(self) -> Name:
        """For the recipe; a graph does not change the bits."""
        return self._replayed or self._choice.used

    def of(self, shape: Shape) -> Call:
        """What to call for one pass at `shape`; the network must be awake and stay as it is."""
        call = self._choice.of(shape)
        compiled = shape in self._choice.ready
        state = self._graphs.settle(self._module)

        def run(*args: Any, **kwargs: Any) -> Any:
            self._graphs.ahead.wait()
            key = (compiled and shape in self._choice.ready, state, _kind((args, kwargs)))
            graph = self._graphs.find(key)
            if graph is None:
                result = self._graphs.run(key, call, args, kwargs, lambda: self._choice.used)
            else:
                result = (graph(_tensors((args, kwargs))),)
                self._replayed = graph.used
                self._graphs.replays += 1
            self._graphs.ahead.launched()
            return result

        return run


class GraphedKernels:
    """`Kernels` whose choices run by graphs. It takes the place of the one that it is given."""

    def __init__(self, kernels: Kernels, device: Device) -> None:
        self._kernels = kernels
        self.graphs = Graphs(device, self.compiling)

    def compiling(self) -> bool:
        """Whether the compiler's thread is alive."""
        thread = self._kernels._thread
        return thread is not None and thread.is_alive()

    def choose(self, module: Any, asked: str | None) -> GraphedChoice:
        """See `Kernels.choose`."""
        return GraphedChoice(self._kernels.choose(module, asked), module, self.graphs)

    def prepare(
        self, module: Any, shapes: Sequence[Shape], run: Callable[[Any, Shape], object]
    ) -> None:
        """See `Kernels.prepare`."""
        self._kernels.prepare(module, shapes, run)

    def wait(self) -> None:
        """See `Kernels.wait`."""
        self._kernels.wait()

    def forget(self, module: Any) -> None:
        """See `Kernels.forget`."""
        self.graphs.forget()
        self._kernels.forget(module)


@contextmanager
def collected() -> Iterator[None]:
    """Collect garbage, and collect none within the block."""
    gc.collect()
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def state_of(module: torch.nn.Module) -> Hashable:
    """What a capture of `module` bakes in, apart from its inputs.

    Where every parameter and buffer is and how it is strided; its attention processors and the
    weights of those that attend to reference images; torch's settings that select kernels.
    """
    tensors = (*module.parameters(), *module.buffers())
    places = tuple((tensor.data_ptr(), tensor.stride()) for tensor in tensors)
    processors = getattr(module, "attn_processors", {}).values()
    attentions = tuple(
        (type(each), tuple(scale) if isinstance(scale, list) else scale)
        for each in processors
        for scale in (getattr(each, "scale", None),)
    )
    matmul: Any = torch.backends.cuda.matmul
    cudnn: Any = torch.backends.cudnn
    settings = (
        matmul.allow_tf32,
        matmul.allow_fp16_reduced_precision_reduction,
        getattr(matmul, "allow_fp16_accumulation", None),
        cudnn.allow_tf32,
        cudnn.benchmark,
        cudnn.deterministic,
    )
    return places, attentions, settings


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _kind(tree: Any) -> Hashable:
    """The structure of inputs, with the shape and dtype of each tensor and every other value."""
    leaves, structure = pytree.tree_flatten(tree)
    kinds = (
        (tuple(leaf.shape), leaf.dtype) if isinstance(leaf, torch.Tensor) else leaf
        for leaf in leaves
    )
    return str(structure), tuple(kinds)


# Never in inference mode, even if the caller is: such tensors may not be written to outside.
@torch.inference_mode(mode=False)
@torch.no_grad()
def _buffers(tree: Any, device: torch.device) -> Any:
    """Copies of all tensors, on `device`: copying from the CPU cannot be captured."""
    return pytree.tree_map_only(
        torch.Tensor, lambda t: torch.empty_like(t, device=device).copy_(t), tree
    )


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    some, others = (tensor.contiguous().view(torch.uint8) for tensor in (one, other))
    return torch.equal(some, others)
