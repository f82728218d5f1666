"""The map of an image alone, as sd-webui-controlnet makes it: a job of the caller's, as everything
that needs the engine."""

from collections.abc import Iterator
from typing import Final

from fastapi import Request

from bot.api.automatic.bodies import Detect
from bot.api.automatic.jobs import ended
from bot.api.automatic.units import module_called
from bot.api.desk import Desk
from bot.api.errors import NotReady
from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import COUNT_MAX, MAP_SIDE, MapDraft
from bot.request.dialects.controlnet import OFFERED_MODULES, USUAL_MODULES, Module
from bot.store import ApiKey, Job
from catalog.control_types import CANNY

MODULE: Final = "controlnet_module"
IMAGES: Final = "controlnet_input_images"
_THRESHOLDS: Final = {"controlnet_threshold_a": 100, "controlnet_threshold_b": 200}
_LEVELS: Final = (1, 255)
"""Of Canny's thresholds, what they are here, and between which they count there."""


def checked(body: Detect) -> tuple[Module, int | None, tuple[Notice, ...]]:
    """What makes the maps, the pixels of their shorter side, and what there is to say about it.

    Raises InvalidRequest, for no image, too many, and a module that is not here or makes no map.
    """
    module = module_called(MODULE, body.controlnet_module)
    if module.type is None:
        value, allowed = body.controlnet_module[:100], OFFERED_MODULES[1:]
        raise InvalidRequest(MODULE, "api.automatic.module", value=value, allowed=allowed)
    count = len(body.images)
    if not 1 <= count <= COUNT_MAX:
        raise InvalidRequest(IMAGES, "number.range", value=count, min=1, max=COUNT_MAX)
    least, _, most = MAP_SIDE
    side = body.controlnet_processor_res
    if side > most:
        field = "controlnet_processor_res"
        raise InvalidRequest(field, "number.range", value=side, min=least, max=most)
    return module, side if side >= least else None, tuple(_unused(body, module))


def _unused(body: Detect, module: Module) -> Iterator[Notice]:
    if module.type is not None and not module.same:
        said = {"field": MODULE, "value": body.controlnet_module}
        yield Notice("api.automatic.module_other", said | {"instead": USUAL_MODULES[module.type]})
    if body.controlnet_masks:
        yield Notice("api.automatic.ignored", {"field": "controlnet_masks"})
    if module.type == CANNY:
        low, high = _LEVELS
        for name, usual in _THRESHOLDS.items():
            level = getattr(body, name)
            if low <= level <= high and int(level) != usual:
                yield Notice("api.automatic.ignored", {"field": name})


async def mapped(
    data: bytes,
    kind: str,
    side: int | None,
    request: Request,
    desk: Desk,
    caller: ApiKey,
    *,
    counted: bool,
) -> Job:
    """The job whose image is the map of the image file `data`, of that type.

    counted: see `Desk.accept`. Raises NotReady if the job was cancelled, and as `ended`.
    """
    draft = MapDraft(type=kind, side=side)
    job = await ended(request, desk, caller, draft, {"image": data}, counted=counted)
    if not await desk.images(job):
        raise NotReady("api.job.cancelled")
    return job
