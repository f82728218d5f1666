"""How the denoiser is run: by torch's own kernels, or compiled for the usual sizes.

Compiled code holds for shapes, not for numbers. Weights lie in buffers that checkpoints and
adapters are copied into, so it is compiled once and outlives every switch. It computes the last
bits otherwise: which of both painted a picture is part of its recipe, by what ran rather than by
what was called, for torch falls back silently.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple, cast

import torch

from bot.request.syntax import usual_sizes
from catalog import ModelEntry

log = logging.getLogger(__name__)

Name = Literal["eager", "compiled"]
Backend = Literal["inductor", "eager"] | Callable[..., Any]

TRIES: Final = 3
"""Of one shape. Compiling fails when the network is parked or a reference is attached to it
meanwhile; without a C compiler it always does."""
SHAPES_MAX: Final = 64
"""That one network may be compiled for: some models, each with its sizes."""


class Shape(NamedTuple):
    """What the code is compiled for; a picture of another shape is painted by torch's kernels.

    rows: 2 with guidance, 1 without. tokens: of the prompt. width, height: in pixels.
    """

    rows: int
    tokens: int
    width: int
    height: int


def shapes_of(entry: ModelEntry, tokens: int) -> tuple[Shape, ...]:
    """Those of most pictures that people want of a model, the most wanted first.

    Of the sizes that are proposed, at the model's own guidance.
    tokens: of a prompt of usual length.
    """
    rows = 2 if entry.guidance.default > 1.0 else 1
    sizes = dict.fromkeys((entry.size, *usual_sizes(entry)))
    return tuple(Shape(rows, tokens, *size) for size in sizes)


@dataclass(slots=True)
class KernelChoice:
    """The ways to run the denoiser that one job has: what becomes ready meanwhile is not for it.

    Its pictures would else be painted in two ways, and its recipe could name only one.

    ready: what `compiled` is for. runs: how often compiled code ran in this thread.
    used: what the recipe names.
    """

    plain: Callable[..., Any]
    compiled: Callable[..., Any]
    ready: frozenset[Shape]
    runs: Callable[[], int]
    used: Name = "eager"

    def of(self, shape: Shape) -> Callable[..., Any]:
        """What to call for a picture of `shape`."""
        return self._run if shape in self.ready else self.plain

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        if not self.ready:
            return self.plain(*args, **kwargs)
        before = self.runs()
        result = self.compiled(*args, **kwargs)
        if self.runs() > before:
            self.used = "compiled"
        else:
            log.warning("the compiled code does not hold; torch's own kernels finish this job")
            self.ready, self.used = frozenset(), "eager"
        return result


class Kernels:
    """The ways to run one denoiser.

    backend: of torch.compile; None never compiles. Others than `inductor` are for tests.

    Compiling takes minutes a shape, and no request ever waits for it: `prepare` does it in a thread
    of its own, and until a shape is done `choose` knows torch's own kernels only.
    """

    def __init__(self, backend: Backend | None) -> None:
        self._backend = backend
        self._module: Any = None
        self._compiled: Any = None
        self._runs: Counter[int] = Counter()
        self._ready: set[Shape] = set()
        self._tries: Counter[Shape] = Counter()
        self._thread: threading.Thread | None = None

    def choose(self, module: Any, asked: str | None) -> KernelChoice:
        """The ways to run `module` now. asked: of an earlier picture, or None."""
        plain = cast("Callable[..., Any]", module)
        if module is not self._module or not self._ready or asked == "eager":
            return KernelChoice(plain, plain, frozenset(), self._runs_here)
        # Where the code does not hold after all, torch's own kernels do: no job compiles.
        existing: Any = torch._dynamo.run(self._compiled)  # noqa: SLF001
        return KernelChoice(plain, existing, frozenset(self._ready), self._runs_here)

    def prepare(
        self, module: Any, shapes: Sequence[Shape], run: Callable[[Any, Shape], object]
    ) -> None:
        """Begin to compile for `shapes`, one after the other, unless something is under way.

        run: calls what it is given as it would call `module` for a picture of that shape; its
            result does not count. It is called in another thread.
        """
        if self._backend is None or (self._thread and self._thread.is_alive()):
            return
        if module is not self._module:
            self._module, self._ready, self._tries = module, set(), Counter()
            self._compiled = None
        wanted = [s for s in shapes if s not in self._ready and self._tries[s] < TRIES]
        if not wanted:
            return
        # What torch.compile imports takes seconds: called in the thread.
        make = partial(
            torch.compile,
            module,
            backend=self._build,
            fullgraph=True,
            dynamic=False,
            recompile_limit=SHAPES_MAX,
        )
        self._thread = threading.Thread(
            target=self._compile, args=(module, make, wanted, run), name="compiler", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Until nothing is being compiled."""
        if self._thread:
            self._thread.join()

    def forget(self) -> None:
        """Let go of the module."""
        self._module = self._compiled = None
        self._ready = set()

    def _build(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        """The backend's code for a graph, counting its runs."""
        backend = cast("Any", self._backend)
        code = torch._dynamo.lookup_backend(backend)(graph, inputs)  # noqa: SLF001

        def counted(*args: Any) -> Any:
            self._runs[threading.get_ident()] += 1
            return code(*args)

        return counted

    def _runs_here(self) -> int:
        return self._runs[threading.get_ident()]

    def _compile(
        self,
        module: Any,
        make: Callable[[], Any],
        shapes: Sequence[Shape],
        run: Callable[[Any, Shape], object],
    ) -> None:
        compiled = self._compiled
        for shape in shapes:
            if module is not self._module:
                return
            self._tries[shape] += 1
            began = time.monotonic()
            try:
                if compiled is None:
                    compiled = make()
                # The same mode as while painting: the code is bound to it.
                with torch.inference_mode():
                    run(compiled, shape)
            except Exception:
                log.warning("compiling for %s failed; torch's own kernels do", shape, exc_info=True)
                continue
            log.info("compiled for %s in %.0f s", shape, time.monotonic() - began)
            if module is self._module:
                self._compiled = compiled
                self._ready.add(shape)
