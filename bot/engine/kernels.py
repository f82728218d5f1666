"""Run the denoiser with torch's own kernels, or compiled for the usual sizes.

Compiled code depends on shapes, not on weights. Checkpoints and adapters are copied into the same
buffers, so it is compiled once and survives every switch. Its last bits differ from those of
torch's kernels, so an image's recipe says which were used: those that ran rather than those that
were called, because torch falls back silently.
"""

import importlib
import inspect
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
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
"""Attempts per shape. Compiling fails when the network is parked or gets a reference attached
meanwhile; without a C compiler it always fails."""
SHAPES_MAX: Final = 64
"""How many shapes one network may be compiled for: several models with their sizes."""


class Shape(NamedTuple):
    """What code is compiled for; images of other shapes use torch's kernels.

    rows: 2 with guidance, 1 without. tokens: in the prompt. width, height: in pixels.
    """

    rows: int
    tokens: int
    width: int
    height: int


def shapes_of(entry: ModelEntry, tokens: int) -> tuple[Shape, ...]:
    """The shapes of a model's most usual images, the most usual first.

    They are those of the sizes that the bot suggests, with the model's default guidance.
    tokens: in a prompt of usual length.
    """
    rows = 2 if entry.is_guided(entry.guidance.default) else 1
    sizes = dict.fromkeys((entry.size, *usual_sizes(entry)))
    return tuple(Shape(rows, tokens, *size) for size in sizes)


@dataclass(slots=True)
class KernelChoice:
    """One job's ways to run the denoiser, fixed when it begins.

    Code that becomes ready later is not used, as the job's images would then differ and its recipe
    could name only one way.

    ready: the shapes that `compiled` is for. runs: how often compiled code ran in this thread.
    used: for the recipe.
    """

    plain: Callable[..., Any]
    compiled: Callable[..., Any]
    ready: frozenset[Shape]
    runs: Callable[[], int]
    used: Name = "eager"

    def of(self, shape: Shape) -> Callable[..., Any]:
        """What to call for an image of `shape`."""
        return self._run if shape in self.ready else self.plain

    def _run(self, *args: Any, **kwargs: Any) -> Any:
        if not self.ready:
            return self.plain(*args, **kwargs)
        before = self.runs()
        result = self.compiled(*args, **kwargs)
        if self.runs() > before:
            self.used = "compiled"
        else:
            log.warning("the compiled code does not apply; this job goes on with torch's kernels")
            self.ready, self.used = frozenset(), "eager"
        return result


class Kernels:
    """The ways to run one denoiser.

    backend: of torch.compile; None never compiles. Backends other than `inductor` are for tests.

    Compiling takes minutes per shape, and no request ever waits for it: `prepare` compiles in a
    separate thread, and until a shape is ready `choose` offers torch's own kernels only.
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
        """The ways to run `module` now. asked: the kernels of the image to repeat, or None."""
        plain = cast("Callable[..., Any]", module)
        if module is not self._module or not self._ready or asked == "eager":
            return KernelChoice(plain, plain, frozenset(), self._runs_here)
        # Never compiles within a job: where the code does not apply, torch's own kernels run.
        existing: Any = torch._dynamo.run(self._compiled)  # noqa: SLF001
        return KernelChoice(plain, existing, frozenset(self._ready), self._runs_here)

    def prepare(
        self, module: Any, shapes: Sequence[Shape], run: Callable[[Any, Shape], object]
    ) -> None:
        """Start compiling for `shapes`, one after the other, unless this is already under way.

        run: calls its first argument like `module` for an image of that shape; its result is
            ignored. Called in another thread.
        """
        if self._backend is None or (self._thread and self._thread.is_alive()):
            return
        if module is not self._module:
            self._module, self._ready, self._tries = module, set(), Counter()
            self._compiled = None
        wanted = [s for s in shapes if s not in self._ready and self._tries[s] < TRIES]
        if not wanted:
            return
        # torch.compile imports for seconds, so it is called in the thread.
        make = partial(
            torch.compile,
            module,
            backend=self._build,
            fullgraph=True,
            dynamic=False,
            **({"recompile_limit": SHAPES_MAX} if _takes_limit() else {}),
        )
        self._thread = threading.Thread(
            target=self._compile, args=(module, make, wanted, run), name="compiler", daemon=True
        )
        self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being compiled."""
        if self._thread:
            self._thread.join()

    def forget(self, module: Any) -> None:
        """Release `module` and its code, if it is the one these are for."""
        if module is self._module:
            self._module = self._compiled = None
            self._ready = set()

    def _build(self, graph: Any, inputs: Any) -> Callable[..., Any]:
        """The backend's code for a graph, wrapped to count its runs."""
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
                # The mode must be the same as in a job: the code is bound to it.
                with torch.inference_mode(), _limited():
                    run(compiled, shape)
            except Exception:
                log.warning("compiling for %s failed; using torch's kernels", shape, exc_info=True)
                continue
            log.info("compiled for %s in %.0f s", shape, time.monotonic() - began)
            if module is self._module:
                self._compiled = compiled
                self._ready.add(shape)


def _takes_limit() -> bool:
    """Whether this torch limits recompilations per call of `torch.compile`; 2.11 does not."""
    return "recompile_limit" in inspect.signature(torch.compile).parameters


def _limited() -> AbstractContextManager[Any]:
    """While a network compiles: its limit, for a torch that only has one for the process."""
    if _takes_limit():
        return nullcontext()
    config: Any = importlib.import_module("torch._dynamo.config")
    patched: AbstractContextManager[Any] = config.patch(recompile_limit=SHAPES_MAX)
    return patched
