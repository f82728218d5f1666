"""The engine as the rest of the bot sees it: one object, used from one thread."""

import gc
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bot.engine.results import DeviceReport, Painting
from bot.errors import ImagenError, JobFailed
from bot.progress import Progress
from bot.request import GenerationRequest
from catalog import Catalog

if TYPE_CHECKING:
    from bot.engine.environment import Place
    from bot.engine.painter import Painter

LIBRARY_SETTINGS: Final = {
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_DISABLE_XET": "1",  # its downloads cannot be stopped from a progress callback
    "HF_HUB_VERBOSITY": "critical",
    "DIFFUSERS_VERBOSITY": "critical",  # a truncated prompt would be logged at WARNING
    "TRANSFORMERS_VERBOSITY": "critical",
    "TOKENIZERS_PARALLELISM": "false",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # without it, matrix products differ between runs
}
"""Environment variables that the libraries read once, when they are imported."""


class Engine:
    """Turns requests into pictures.

    Every method but `loaded` belongs to the engine thread: models are built in it only.

    models_dir: the owner's files, and `hub/` and `builtin/` below it, which the engine fills.
    hashes_file: where digests of weights are remembered.
    device: `auto`, `cuda`, `mps` or `cpu`. dtype: `auto` (16 bits on a GPU, 32 on the CPU),
        `float16`, `bfloat16` or `float32`.
    hub_endpoint: base URL of another hub than huggingface.co.
    """

    def __init__(
        self,
        *,
        models_dir: Path,
        hashes_file: Path,
        device: str = "auto",
        dtype: str = "auto",
        hub_endpoint: str | None = None,
    ) -> None:
        self._models_dir = models_dir
        self._hashes_file = hashes_file
        self._device = device
        self._dtype = dtype
        self._hub_endpoint = hub_endpoint
        self._painter: Painter | None = None

    @property
    def loaded(self) -> str | None:
        """Key of the model in memory; from any thread."""
        painter = self._painter
        return painter.loaded if painter else None

    def warm_up(self) -> None:
        """Import torch and the rest (about 8 s), in the thread that will paint. Idempotent."""
        self._ready()

    def paint(
        self,
        request: GenerationRequest,
        catalog: Catalog,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
    ) -> Painting:
        """Paint `request`; blocks until done.

        report: called often; must return at once. check_stop: called between stages, at each step
        and while downloading; raises PaintStopped to stop.

        Raises JobFailed with a code for bot/ui/texts when the person or the owner can mend it,
        what `check_stop` raises, or whatever else went wrong. The next request finds the engine
        as if nothing had happened.
        """
        painter = self._ready()
        try:
            return painter.paint(request, catalog, report, check_stop)
        except ImagenError:
            raise
        except Exception as error:
            if not painter.out_of_memory(error):
                painter.free()
                raise
        # Out of the except block: the traceback would keep the tensors of every frame alive.
        loading = painter.loaded != request.model
        painter.free()
        if loading:
            raise JobFailed("memory.model", model=request.model)
        raise JobFailed("memory.out", width=request.width, height=request.height)

    def device_report(self) -> DeviceReport:
        """Where this engine paints, and whether it can. Imports torch."""
        return self._place().report()

    def close(self) -> None:
        """Free the model; a later `paint` loads it again."""
        if self._painter:
            self._painter.free()

    def _place(self) -> "Place":
        os.environ.update(LIBRARY_SETTINGS)
        from bot.engine.environment import Place, settle

        settle()
        return Place(self._device, self._dtype)

    def _ready(self) -> "Painter":
        if self._painter is None:
            place = self._place()
            from bot.engine.hub import Hub
            from bot.engine.painter import Painter

            # The libraries' half a million objects stay for ever. Unfrozen, each collection walks
            # them all and holds the interpreter, and with it the bot's event loop, for 0.2 s.
            if not gc.get_freeze_count():
                gc.collect()
                gc.freeze()
            hub = Hub(self._models_dir / "hub", self._hub_endpoint)
            self._painter = Painter(self._models_dir, self._hashes_file, place, hub)
        return self._painter
