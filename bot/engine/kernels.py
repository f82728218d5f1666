"""How the UNet is run: by torch's own kernels, or compiled for the size that most pictures have.

Compiled code holds for shapes, not for numbers. Weights lie in buffers that checkpoints and
adapters are copied into, so it is compiled once and outlives every switch. It computes the last
bits otherwise: which of both painted a picture is part of its recipe.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal, NamedTuple, cast

import torch

from bot.engine.environment import Place

log = logging.getLogger(__name__)

Name = Literal["eager", "compiled"]
Backend = Literal["inductor", "eager"]

TRIES: Final = 3
"""Of one shape. A compiling is spoilt when the network is parked or a reference hung into it
meanwhile; without a C compiler every one fails."""


class Shape(NamedTuple):
    """What the code is compiled for; a picture of another shape is painted by torch's kernels.

    rows: 2 with guidance, 1 without. tokens: 77 for each chunk of the prompt.
    """

    rows: int
    tokens: int
    width: int
    height: int


def rehearse(shape: Shape, projection: int, place: Place, unet: Any) -> None:
    """Ask `unet` once as for a picture of `shape`; projection: width of the pooled prompt."""
    like: dict[str, Any] = {"device": place.device, "dtype": place.dtype}
    latents = torch.zeros(shape.rows, 4, shape.height // 8, shape.width // 8, **like)
    unet(
        latents,
        torch.tensor(500.0, device=place.device),
        encoder_hidden_states=torch.zeros(
            shape.rows, shape.tokens, unet.config.cross_attention_dim, **like
        ),
        added_cond_kwargs={
            "text_embeds": torch.zeros(shape.rows, projection, **like),
            "time_ids": torch.zeros(shape.rows, 6, **like),
        },
        return_dict=False,
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """The ways to run the UNet that one job has: what becomes ready meanwhile is not for it.

    Its pictures would else be painted in two ways, and its recipe could name only one.
    """

    plain: Callable[..., Any]
    compiled: Callable[..., Any]
    ready: frozenset[Shape]

    def of(self, shape: Shape) -> tuple[Callable[..., Any], Name]:
        """What to call for a picture of `shape`, and its name."""
        return (self.compiled, "compiled") if shape in self.ready else (self.plain, "eager")


class Kernels:
    """The ways to run one UNet.

    backend: of torch.compile; None never compiles. `eager` only traces, for tests.

    Compiling takes minutes, and no request ever waits for it: `prepare` does it in a thread of its
    own, and until it is done `choose` knows torch's own kernels only.
    """

    def __init__(self, backend: Backend | None) -> None:
        self._backend = backend
        self._module: Any = None
        self._compiled: Any = None
        self._ready: set[Shape] = set()
        self._tries: Counter[Shape] = Counter()
        self._thread: threading.Thread | None = None

    def choose(self, module: Any, asked: str | None) -> Choice:
        """The ways to run `module` now. asked: of an earlier picture, or None."""
        plain = cast("Callable[..., Any]", module)
        if module is not self._module or not self._ready or asked == "eager":
            return Choice(plain, plain, frozenset())
        # Where the code does not hold after all, torch's own kernels do: no job compiles.
        existing: Any = torch._dynamo.run(self._compiled)  # noqa: SLF001
        return Choice(plain, existing, frozenset(self._ready))

    def prepare(self, module: Any, shape: Shape, run: Callable[[Any], object]) -> None:
        """Begin to compile for `shape`, unless that is done, under way or not wanted.

        run: calls what it is given as it would call `module` for a picture of that shape; its
            result does not count. It is called in another thread.
        """
        if self._backend is None or (self._thread and self._thread.is_alive()):
            return
        if module is not self._module:
            self._module, self._ready, self._tries = module, set(), Counter()
            self._compiled = None
        if shape in self._ready or self._tries[shape] == TRIES:
            return
        self._tries[shape] += 1
        # What torch.compile imports takes seconds: called in the thread.
        make = partial(torch.compile, module, backend=self._backend, fullgraph=True, dynamic=False)
        work = (module, make, shape, run)
        self._thread = threading.Thread(
            target=self._compile, args=work, name="compiler", daemon=True
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

    def _compile(
        self,
        module: Any,
        make: Callable[[], Any],
        shape: Shape,
        run: Callable[[Any], object],
    ) -> None:
        began = time.monotonic()
        try:
            compiled = self._compiled or make()
            # The same mode as while painting: the code is bound to it.
            with torch.inference_mode():
                run(compiled)
        except Exception:
            log.warning("compiling for %s failed; torch's own kernels do", shape, exc_info=True)
            return
        log.info("compiled for %s in %.0f s", shape, time.monotonic() - began)
        if module is self._module:
            self._compiled = compiled
            self._ready.add(shape)
