"""What compiled code does on a GPU, recorded once and launched as a whole: CUDA graphs.

One look of SDXL's UNet is some 1,900 kernels, and a fast card waits for the computer to launch
them one by one. A recording reads and writes fixed addresses: its inputs are copied into place,
and the weights lie where they lay, whatever is copied into them (see weights/layout.py).
"""

import logging
from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, Protocol

import torch
from torch.utils import _pytree as pytree

log = logging.getLogger(__name__)

RECORDINGS_MAX: Final = 16
"""They share the memory of their intermediate results, but each has its list of kernels."""

Code = Callable[..., Any]
"""Returns a tuple with one tensor, as a UNet2DConditionModel without `return_dict`."""


class Recorder(Protocol):
    """Records what a call has the device do."""

    def record(self, call: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], object]]:
        """What `call` returned, and what does the same work again from and into the same memory."""

    def forget(self) -> None:
        """Give back the memory that recordings share; none of them is used again."""


class CudaGraphs:
    """Records with torch.cuda.CUDAGraph."""

    def __init__(self) -> None:
        self._pool: Any = None

    def record(self, call: Callable[[], torch.Tensor]) -> tuple[torch.Tensor, Callable[[], object]]:
        """See `Recorder`. Raises whatever torch does when something in `call` cannot be recorded.

        (https://docs.pytorch.org/docs/2.13/notes/cuda.html#cuda-graphs)
        """
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            call()  # what libraries set up at their first call must not be recorded
        graph = torch.cuda.CUDAGraph()
        # Other threads go on: one pins memory for the next job, another compiles.
        with torch.cuda.graph(
            graph, pool=self._pool, stream=stream, capture_error_mode="thread_local"
        ):
            result = call()
        return result, graph.replay

    def forget(self) -> None:
        """See `Recorder`."""
        self._pool = None


class _Recording:
    """One recorded call with inputs of its own."""

    def __init__(
        self, recorder: Recorder, code: Code, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> None:
        own = pytree.tree_map_only(torch.Tensor, torch.clone, (args, dict(kwargs)))
        self._inputs = _tensors(own)
        self._result, self._play = recorder.record(lambda: code(*own[0], **own[1])[0])

    def __call__(self, *args: Any, **kwargs: Any) -> tuple[torch.Tensor]:
        for own, given in zip(self._inputs, _tensors((args, kwargs)), strict=True):
            own.copy_(given)
        self._play()
        return (self._result.clone(),)


class Recordings:
    """Of one network's code, by what each is for.

    recorder: None records nothing.

    None is used on trust: each has to give the bits of the code that it was made from first, with
    the inputs of its making and with others.
    """

    def __init__(self, recorder: Recorder | None) -> None:
        self._recorder = recorder
        self._made: dict[Hashable, _Recording | None] = {}
        self._address = 0

    def of(self, key: Hashable) -> Code | None:
        """The recording to call instead of the code, if there is one."""
        return self._made.get(key)

    def make(
        self, key: Hashable, code: Code, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        """Record `code` as it is called with these arguments, once; takes five calls of it."""
        if self._recorder is None or key in self._made:
            return
        while len(self._made) >= RECORDINGS_MAX:
            del self._made[next(iter(self._made))]
        self._made[key] = None
        try:
            recording = _Recording(self._recorder, code, args, kwargs)
            proven = all(
                torch.equal(recording(*a, **k)[0], code(*a, **k)[0])
                for a, k in ((args, kwargs), _other((args, kwargs)))
            )
        except Exception:
            # An error of the device too: were it lost, the next call of the code would say so.
            log.warning("the code for %s cannot be recorded; it runs without", key, exc_info=True)
            return
        if proven:
            self._made[key] = recording
        else:
            log.warning("the recording for %s gives other bits; the code runs without", key)

    def look(self, module: torch.nn.Module) -> None:
        """Forget everything unless the weights of `module` lie where they lay."""
        address = next(module.parameters()).data_ptr()
        if address != self._address:
            self.forget()
            self._address = address

    def forget(self) -> None:
        """Give all memory back."""
        self._made.clear()
        self._address = 0
        if self._recorder is not None:
            self._recorder.forget()


def _tensors(tree: Any) -> list[torch.Tensor]:
    return [leaf for leaf in pytree.tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def _other(inputs: Any) -> Any:
    """Inputs of the same kind, every number of which is another."""
    return pytree.tree_map_only(torch.Tensor, lambda tensor: tensor * 0.75 + 0.25, inputs)
