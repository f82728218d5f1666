"""The ControlNets in use, and what each makes of its image for one pass. Imports torch."""

import logging
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import PIL.Image
import torch

from bot.engine.controls import networks
from bot.engine.controls.acting import UNION_TYPES, Acting, ActingAdapter, ActingNetwork
from bot.engine.controls.depth import DepthEstimator
from bot.engine.controls.preparing import Maps
from bot.engine.environment import Place, is_the_devices
from bot.engine.needed import Needed
from bot.engine.sources import Source
from bot.engine.subject import Subject
from bot.engine.weights import Formats, Part, WeightCache
from bot.errors import ImagenError
from bot.progress import Stage
from bot.recipe import Recipe
from bot.request import ControlUse
from catalog.control_types import DEPTH
from catalog.weight_files.controlnet import ControlKind

log = logging.getLogger(__name__)

_BLOCK: Final = re.compile(r".+\.transformer_blocks\.\d+")
"""Modules that are called one after the other: 2.1 of the 2.3 GiB."""
_LEVELS: Final = 64
"""Sides of a T2I-Adapter's map are multiples of it, so that each level halves them evenly."""


@dataclass(frozen=True, slots=True)
class Following:
    """One ControlNet of a job. part: its network."""

    use: ControlUse
    kind: ControlKind
    part: Part

    def acting(self, map_: PIL.Image.Image, place: Place, check_stop: Callable[[], None]) -> Acting:
        """It at work in a pass of the map's size."""
        self.part.wake(check_stop)
        module: Any = self.part.module
        if self.kind == "t2i_adapter":
            return ActingAdapter(self.use, _features(module, map_, self.use.weight, place))
        number = UNION_TYPES[self.use.type] if self.kind == "union" else None
        return ActingNetwork(self.use, self.kind, module, _tensor(map_, place), number)


@dataclass(frozen=True, slots=True)
class Followings:
    """All ControlNets of a job."""

    each: tuple[Following, ...]
    maps: Maps
    place: Place

    @property
    def facts(self) -> dict[str, str]:
        """What of the environment the bits depend on."""
        return self.maps.facts

    def acting(self, size: tuple[int, int], check_stop: Callable[[], None]) -> tuple[Acting, ...]:
        """All of them at work in a pass. size: width and height in pixels."""
        return tuple(
            one.acting(self.maps.of(one.use, size), self.place, check_stop) for one in self.each
        )

    def park(self) -> None:
        """Free the device's memory of their networks."""
        for one in self.each:
            one.part.park()


class Controls:
    """Keeps the ControlNets that were used last."""

    def __init__(self, place: Place, cache: WeightCache) -> None:
        self._place = place
        self._cache = cache
        self._kept: dict[Any, tuple[ControlKind, Part]] = {}
        self._estimator = DepthEstimator(place)

    def free(self) -> None:
        """Free the device's memory."""
        self._kept = {}

    def following(
        self, needed: Needed, recipe: Recipe, unet: Any, room: int | None
    ) -> Followings | None:
        """The ControlNets of a job, ready to act on `unet`; None if it has none.

        recipe: with the digests of their files. room: bytes of the device that they may take; None:
        as many as they have. Raises JobFailed, or what a subject's `check_stop` raises.
        """
        if not needed.controls:
            for _, part in self._kept.values():
                part.park()
            return None
        uses = needed.request.controls
        depths = self._depths(needed)
        keys = [(source.fingerprint(), _shape(unet)) for source, _ in needed.controls]
        self._kept = {key: kept for key, kept in self._kept.items() if key in keys}
        each = []
        for n, (use, (source, subject)) in enumerate(zip(uses, needed.controls, strict=True)):
            if keys[n] not in self._kept:
                subject.tick(Stage.LOADING, 0.0)
                self._kept[keys[n]] = self._read(source, recipe.controls[n].sha256, unet, subject)
            kind, part = self._kept[keys[n]]
            part.stream(None if room is None else room // len(set(keys)))
            if kind == "union":
                _check_type(use, part.module, subject)
            each.append(Following(use, kind, part))
        return Followings(tuple(each), Maps(needed, depths), self._place)

    def _depths(self, needed: Needed) -> dict[str, PIL.Image.Image]:
        """The depths of the images that ControlNets are to follow for that, by sha256."""
        if needed.depth is None:
            return {}
        files, subject = needed.depth
        return {
            use.sha256: self._estimator.depth(
                files, (use.sha256, needed.pictures[use.sha256]), subject
            )
            for use in needed.request.controls
            if use.type == DEPTH and not use.is_map
        }

    def _read(
        self, source: Source, digest: str, unet: Any, subject: Subject
    ) -> tuple[ControlKind, Part]:
        try:
            found = networks.read(source, unet, self._place.dtype, subject)
        except Exception as error:
            if isinstance(error, ImagenError | MemoryError) or is_the_devices(error):
                raise
            if isinstance(error, OSError) and error.errno is not None:
                raise subject.unread(source.root, error) from error
            log.warning("The ControlNet %s cannot be used", subject.key, exc_info=True)
            raise subject.failed("control.unreadable", reason=type(error).__name__) from error
        blocks = tuple(path for path, _ in found.module.named_modules() if _BLOCK.fullmatch(path))
        part = Part(found.module, Formats(self._place.dtype), self._place.device, blocks)
        part.park()
        weights = self._cache.take(digest, part.layout, lambda: found.tensors, subject.check_stop)
        part.hold(weights)
        return found.kind, part


def _check_type(use: ControlUse, module: Any, subject: Subject) -> None:
    """Raise JobFailed for a type that a Union does not follow."""
    most = int(module.config.num_control_type)
    if UNION_TYPES.get(use.type, most) >= most:
        known = [name for name, number in UNION_TYPES.items() if number < most]
        raise subject.failed("control.type", value=use.type, allowed=tuple(known))


def _shape(unet: Any) -> tuple[object, ...]:
    """What of a UNet a ControlNet has to fit."""
    return (*unet.config.block_out_channels, unet.config.cross_attention_dim)


def _tensor(map_: PIL.Image.Image, place: Place) -> torch.Tensor:
    """Shape (1, 3, height, width), 0–1; (1, 1, height, width) of a grey image."""
    levels = np.asarray(map_, np.float32) / np.float32(255)
    channels = levels[None] if levels.ndim == 2 else levels.transpose(2, 0, 1)
    return torch.from_numpy(np.ascontiguousarray(channels))[None].to(place.device, place.dtype)


def _features(
    module: Any, map_: PIL.Image.Image, weight: float, place: Place
) -> tuple[torch.Tensor, ...]:
    """What a T2I-Adapter makes of a map of any size, for latents of an eighth of it."""
    if module.config.in_channels == 1:
        map_ = map_.convert("L")
    pixels = _tensor(map_, place)
    height, width = pixels.shape[2:]
    missing = (-width % _LEVELS, -height % _LEVELS)
    if any(missing):
        pixels = torch.nn.functional.pad(pixels, (0, missing[0], 0, missing[1]), mode="replicate")
    features = []
    for feature in module(pixels):
        shrunk = pixels.shape[2] // feature.shape[2]
        down, across = math.ceil(height / shrunk), math.ceil(width / shrunk)
        features.append(feature[:, :, :down, :across] * weight)
    return tuple(features)
