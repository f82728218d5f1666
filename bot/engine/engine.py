"""The engine's public interface: one object, used from one thread."""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bot.engine.device import DeviceReport
from bot.engine.importing import prepare_libraries, sparing_the_event_loop
from bot.errors import EngineLost, ImagenError, JobFailed, Loss, PaintStopped
from bot.order import Order
from bot.painting import OnPainted, Painting, unheard
from bot.progress import Notice, Progress
from bot.recipe import Environment, environment_id
from catalog import AdapterEntry, ModelEntry
from catalog.disk import passing_fault

if TYPE_CHECKING:
    from bot.engine.environment import Place
    from bot.engine.memory import Profile
    from bot.engine.pipeline import Pipeline
    from bot.engine.preview import Preview

log = logging.getLogger(__name__)


class Engine:
    """Turns requests into images.

    Call everything from the engine thread, except `loaded`, `gpu_memory` and `prefetch`.
    `preview_interval` may change between two jobs.
    environment: what its recipes say of where images were generated; empty before `warm_up`.

    models_dir: the owner's files, and `hub/` below it, which the engine downloads to.
    hashes_file: where digests of weights are stored.
    device: `auto`, `cuda`, `cuda:1` and so on, `mps` or `cpu`.
    dtype: `auto` (16 bits on a GPU, 32 on the CPU), `float16`, `bfloat16` or `float32`.
    memory: `auto`, or how much of a model may stay on the device: `full`, `16gb`,
        `11gb` or `8gb`.
    weights: `auto`, or how the large matrices of a model's networks are stored: `full`, as `dtype`
        says, or `int8`. `auto`: in 8 bits where a network would not fit otherwise, going by the
        model's family and `memory`. With `full`, its blocks take turns on the device there.
    model_cache: bytes of RAM for checkpoints that are not on the device; None is half of the
        machine's RAM, but nothing on the CPU, where the model is in RAM already.
    adapter_cache: bytes of RAM for adapter files, not counting those that are applied.
    compiled: compile the denoiser in the background, once for each usual size of a model.
    preview_interval: seconds between two previews in the reports of `paint`; None: no previews.
    hub_endpoint: base URL of a hub other than huggingface.co. hub_token: access token for it.
    """

    def __init__(
        self,
        *,
        models_dir: Path,
        hashes_file: Path,
        device: str = "auto",
        dtype: str = "auto",
        memory: str = "auto",
        weights: str = "auto",
        model_cache: int | None = None,
        adapter_cache: int = 2**30,
        compiled: bool = False,
        preview_interval: float | None = None,
        hub_endpoint: str | None = None,
        hub_token: str | None = None,
    ) -> None:
        self._models_dir = models_dir
        self._hashes_file = hashes_file
        self._device = device
        self._dtype = dtype
        self._memory = memory
        self._weights = weights
        self._model_cache = model_cache
        self._adapter_cache = adapter_cache
        self._compiled = compiled
        self.preview_interval = preview_interval
        self._hub_endpoint = hub_endpoint
        self._hub_token = hub_token
        self._pipeline: Pipeline | None = None
        self._painting_on: Place | None = None
        self.environment = Environment()

    @property
    def loaded(self) -> str | None:
        """Key of the model in memory. Any thread."""
        pipeline = self._pipeline
        return pipeline.loaded if pipeline else None

    def gpu_memory(self) -> dict[str, int]:
        """Bytes of the GPU's memory by kind: `allocated`, `reserved`, `free`, `total`.

        Empty where there is no GPU, and before it was first used. Any thread that may wait for the
        driver; raises what the driver's calls raise.
        """
        place = self._painting_on
        return place.memory() if place else {}

    def warm_up(self) -> None:
        """Import torch and the other libraries (about 8 s). Idempotent. Raises JobFailed if the
        device is not in this machine, or torch was not built for it."""
        self._ready()
        if self._painting_on is not None:
            self._painting_on.demand()

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None:
        """Load `model` before the first request, if its files are on this machine.

        Raises what `check_stop` raises, EngineLost, and JobFailed when the model or its files are
        at fault.
        """
        pipeline = self._ready()
        try:
            pipeline.preload(model, check_stop)
        except BaseException as error:
            self._check_lost(pipeline, error)
            self._free(pipeline)
            raise

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted = unheard,
    ) -> Painting:
        """Generate the images of `order`; blocks until done.

        report: called often; must return at once. check_stop: called between stages, at each step
        and while downloading; raises PaintStopped to stop. painted: called with each image; all are
        generated again, and it is called again, when memory runs out in between.

        Raises JobFailed with a code for bot/texts when the user or the owner can fix it, OSError
        when a file cannot be read at the moment (see `catalog.disk.may_pass`), what `check_stop`
        raises, or any other exception. The engine remains usable afterwards, except after
        EngineLost: then the device accepts no more work.
        """
        try:
            return self._paint(order, report, check_stop, painted)
        except (EngineLost, PaintStopped):
            raise
        except Exception as error:
            # Whatever was concluded from it, such as that a file is missing, is not true.
            if fault := passing_fault(error):
                raise fault from error
            raise

    def _paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        pipeline = self._ready()
        profile = pipeline.profile
        outcome = self._attempt(pipeline, profile, order, report, check_stop, painted)
        if isinstance(outcome, JobFailed) and profile.sparing:
            log.warning("out of memory: retrying with memory profile %s", profile.sparing.value)
            outcome = self._attempt(pipeline, profile.sparing, order, report, check_stop, painted)
            if isinstance(outcome, Painting):
                notice = Notice("memory.lowered", {"profile": profile.sparing.value})
                return replace(outcome, warnings=(*outcome.warnings, notice))
        if isinstance(outcome, JobFailed):
            raise outcome
        return outcome

    def _attempt(
        self,
        pipeline: "Pipeline",
        profile: "Profile",
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting | JobFailed:
        """Returns JobFailed when memory ran out, while loading the model or generating."""
        try:
            return pipeline.paint(order, report, check_stop, profile, painted)
        except ImagenError:
            raise
        except Exception as error:
            self._check_lost(pipeline, error)
            if not pipeline.out_of_memory(error):
                self._free(pipeline)
                raise
            log.warning("out of memory: %s", str(error).strip().split("\n", 1)[0])
        # Out of the except block: the traceback would keep the tensors of every frame alive.
        loaded = pipeline.loaded
        self._free(pipeline)
        if order.model and not order.upscaler and loaded != order.model.key:
            return JobFailed("memory.model", model=order.model.key)
        width, height = order.request.painted_size
        return JobFailed("memory.out", width=width, height=height)

    @staticmethod
    def _check_lost(pipeline: "Pipeline", error: BaseException) -> None:
        """Raise EngineLost from `error` if the device can no longer be used."""
        if pipeline.device_lost(error):
            said = str(error).strip().split("\n", 1)[0]
            raise EngineLost(Loss.DEVICE, f"the GPU failed: {said}") from error

    @classmethod
    def _free(cls, pipeline: "Pipeline") -> None:
        """Free the model. Raises EngineLost if that fails because the device is lost."""
        try:
            pipeline.free()
        except Exception as error:
            cls._check_lost(pipeline, error)
            raise

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        """Read the adapters of a waiting job from disk, in any thread but the engine's.

        Never raises JobFailed or OSError: errors are reported when the job runs.
        """
        if pipeline := self._pipeline:
            with suppress(JobFailed, OSError):
                pipeline.prefetch(adapters)

    def rest(self) -> None:
        """Free the device's memory until the next `paint`; the caches in RAM stay."""
        if self._pipeline:
            self._pipeline.rest()

    def renew(self) -> bool:
        """Whether it can be used again after EngineLost: not in this process. Any thread."""
        return False

    def device_report(self) -> DeviceReport:
        """The device that this engine runs on, and whether it can. Imports torch."""
        place = self._place()
        from bot.engine.families import FAMILIES
        from bot.engine.memory import GIB, in_eight_bits, profile_for, room
        from catalog.families import FAMILIES as FACTS

        profile = profile_for(self._memory, place.capacity)
        large = {key: family.too_large_on for key, family in FAMILIES.items()}
        eight = tuple(key for key, on in large.items() if in_eight_bits(self._weights, profile, on))

        def takes_turns(key: str) -> bool:
            if not self._streams(place):
                return False
            left, parts = room(profile, large[key]), FACTS[key].parts
            sizes = (part.gib_in_8 if key in eight else part.gib for part in parts)
            return left is not None and max(sizes) * GIB > left

        streamed = tuple(filter(takes_turns, large))
        return replace(place.report(), memory=profile.value, in_eight_bits=eight, streamed=streamed)

    def close(self) -> None:
        """Free everything; a later `paint` loads it again."""
        if self._pipeline:
            self._pipeline.free()
        self._pipeline = None

    def _place(self) -> "Place":
        prepare_libraries()
        # Compiled code is reused from there after a restart.
        os.environ.setdefault(
            "TORCHINDUCTOR_CACHE_DIR", str(self._hashes_file.absolute().parent / "kernels")
        )
        from bot.engine.environment import Place, settle

        settle()
        return Place(self._device, self._dtype)

    def _ready(self) -> "Pipeline":
        if self._pipeline is None:
            with sparing_the_event_loop():
                place = self._place()
                from bot.engine.hub import Hub
                from bot.engine.kernels import Kernels
                from bot.engine.memory import profile_for
                from bot.engine.pipeline import Pipeline
                from bot.engine.weights import WeightCache

            _log_device(place)
            place.enter()
            hub = Hub(self._models_dir / "hub", self._hub_endpoint, self._hub_token)
            self._pipeline = Pipeline(
                self._models_dir,
                self._hashes_file,
                place,
                hub,
                profile=profile_for(self._memory, place.capacity),
                weights=self._weights,
                streams=self._streams(place),
                cache=WeightCache(
                    self._cache_limit(place), gpu=place.device if place.kind == "cuda" else None
                ),
                adapters_limit=self._adapter_cache,
                kernels=Kernels("inductor" if self._compiled else None),
                new_preview=self._new_preview,
            )
            self._painting_on = place
            machine = environment_id(place.describe())
            self.environment = Environment(machine, self._pipeline.formats())
        return self._pipeline

    def _new_preview(self) -> "Preview | None":
        from bot.engine.preview import Preview

        return None if self.preview_interval is None else Preview(self.preview_interval)

    def _streams(self, place: "Place") -> bool:
        """Whether blocks may take turns: not from RAM to RAM, unless that is asked for."""
        return place.kind != "cpu" or self._memory != "auto"

    def _cache_limit(self, place: "Place") -> int:
        if self._model_cache is not None:
            return self._model_cache
        return 0 if place.device == "cpu" else place.ram // 2


def _log_device(place: "Place") -> None:
    if place.unused:
        log.warning("the GPU cannot be used: %s", place.unused)
    log.info("device: %s (%s), %s", place.device, place.name, place.dtype_name)
