"""The ControlNets in use, and what each makes of its image for one pass. Imports torch."""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import PIL.Image

from bot.engine import networks
from bot.engine.controls import skeleton
from bot.engine.controls.depth import DepthEstimator
from bot.engine.controls.pose import PEOPLE, PoseEstimator
from bot.engine.controls.preparing import Maps
from bot.engine.controls.skeleton import Person
from bot.engine.detector import Detector
from bot.engine.environment import Place, is_the_devices
from bot.engine.families import ControlNetwork, Family
from bot.engine.needed import Needed, Shown
from bot.engine.regions import Region
from bot.engine.residency import Resident
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import FileTensors, Formats, Part, WeightCache
from bot.errors import ImagenError
from bot.progress import Stage
from bot.recipe import Recipe
from bot.request import Box, ControlUse

log = logging.getLogger(__name__)

CONFIG: Final = "config"
"""What the name of a configuration begins with; of several, each ends as its weights do."""


@dataclass(frozen=True, slots=True)
class Following:
    """One ControlNet of a job. part: its network."""

    use: ControlUse
    network: ControlNetwork
    part: Part


@dataclass(frozen=True, slots=True)
class Followings:
    """All ControlNets of a job."""

    each: tuple[Following, ...]
    family: Family
    maps: Maps
    place: Place

    @property
    def facts(self) -> dict[str, str]:
        """What of the environment the bits depend on."""
        return self.maps.facts

    def within(self, region: Region) -> Self:
        """The same for a part of the image: they follow what is there of theirs."""
        return replace(self, maps=replace(self.maps, region=region))

    def controlled(
        self,
        denoiser: Callable[..., Any],
        size: tuple[int, int],
        steps: int,
        order: int,
        check_stop: Callable[[], None],
    ) -> Callable[..., Any]:
        """What to call instead of `denoiser` in a pass of that size; see `Family.controlled`."""
        acting = []
        for one in self.each:
            one.part.wake(check_stop)
            map_ = self.maps.of(one.use, size)
            acting.append(one.network.acting(one.use, map_, self.place))
        return self.family.controlled(denoiser, acting, steps, order)

    def park(self) -> None:
        """Free the device's memory of their networks."""
        for one in self.each:
            one.part.park()


class Controls:
    """Keeps the ControlNets that were used last."""

    def __init__(self, place: Place, cache: WeightCache, detector: Detector) -> None:
        self._place = place
        self._cache = cache
        self._kept: dict[Any, tuple[ControlNetwork, Part]] = {}
        self._detector = detector
        self._depth = DepthEstimator(place)
        self._pose = PoseEstimator(place)

    def free(self) -> None:
        """Free them entirely."""
        self._kept = {}

    def park(self) -> None:
        """Free the device's memory; they are quickly there again."""
        for _, part in self._kept.values():
            part.park()

    def following(
        self, needed: Needed, recipe: Recipe, model: Resident, together: int | None
    ) -> Followings | None:
        """The ControlNets of a job, ready to act on the model's denoiser; None if it has none.

        recipe: with the digests of their files. together: see `memory.Plan`. Raises JobFailed, or
        what a subject's `check_stop` raises.
        """
        if not needed.controls:
            return None
        uses = needed.request.controls
        maps = self.maps(needed.shown)
        shape = model.shapes[model.family.denoiser]
        keys = [(source.fingerprint(), shape) for source, _ in needed.controls]
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys}
        denoiser = model.parts[model.family.denoiser].layout.size
        room = None if together is None else max(0, together - denoiser) // len(set(keys))
        each = []
        for n, (use, (source, subject)) in enumerate(zip(uses, needed.controls, strict=True)):
            if keys[n] not in self._kept:
                subject.tick(Stage.LOADING, 0.0)
                self._kept[keys[n]] = self._read(source, recipe.controls[n].sha256, model, subject)
            network, part = self._kept[keys[n]]
            part.stream(room)
            network.check(use, subject)
            each.append(Following(use, network, part))
        return Followings(tuple(each), model.family, maps, self._place)

    def maps(self, shown: Shown) -> Maps:
        """What makes the maps of a request, with all looked up that networks tell about its images.

        Raises JobFailed, or what a subject's `check_stop` raises.
        """
        return Maps(shown, self._depths(shown), self._people(shown))

    def _depths(self, shown: Shown) -> dict[str, PIL.Image.Image]:
        """The depths of the images that ControlNets are to follow for that, by sha256."""
        if shown.depth is None:
            return {}
        files, subject = shown.depth
        return {
            use.sha256: self._depth.depth(files, (use.sha256, shown.pictures[use.sha256]), subject)
            for use in shown.request.controls
            if use.needs_depth
        }

    def _people(self, shown: Shown) -> dict[str, tuple[Person, ...]]:
        """The people in the images whose pose ControlNets are to follow for that, by sha256. An
        image that is a skeleton already is left out.

        Raises JobFailed, also when there is nobody in one of them.
        """
        if shown.pose is None:
            return {}
        files, subject = shown.pose
        detector = None
        if (finding := shown.detector) is not None:

            def find(image: PIL.Image.Image) -> tuple[Box, ...]:
                found = self._detector.ready(*finding).found(image, (PEOPLE,))
                return tuple(box for _, box in found)

            detector = (finding[0], find)
        return {
            use.sha256: self._pose.people(
                files, (use.sha256, shown.pictures[use.sha256]), subject, detector
            )
            for use in shown.request.controls
            if use.needs_pose and not skeleton.is_drawn(shown.pictures[use.sha256])
        }

    def _read(
        self, source: Source, digest: str, model: Resident, subject: Subject
    ) -> tuple[ControlNetwork, Part]:
        try:
            stored = networks.stored(source.weights)
            network, found = model.family.control(stored, _config(source), model.denoiser, subject)
            paths = (path for path, _ in network.module.named_modules())
            blocks = tuple(path for path in paths if re.fullmatch(network.blocks, path))
            part = Part(network.module, Formats(self._place.dtype), self._place.device, blocks)
            part.park()
            own = FileTensors(found, stored.files)
            tensors = networks.fitting("controlnet", own, part.layout, subject)
            part.hold(self._cache.take(digest, part.layout, lambda: tensors, subject.check_stop))
        except Exception as error:
            if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
                raise
            if isinstance(error, OSError) and error.errno is not None:
                raise subject.unread(source.root, error) from error
            log.warning("The ControlNet %s cannot be used", subject.key, exc_info=True)
            raise subject.failed("control.unreadable", reason=type(error).__name__) from error
        return network, part


def _config(source: Source) -> Any:
    """What the configuration beside the weights says; None if there is none."""
    written = next((path for path in source.files if path.name.startswith(CONFIG)), None)
    return None if written is None else json.loads(written.read_text(encoding="utf-8"))
