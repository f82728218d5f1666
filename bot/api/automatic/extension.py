"""Routes of the extension sd-webui-controlnet that only tell: what there is to choose from."""

from typing import Any, Final

from fastapi import APIRouter, Request

from bot.api.automatic import examples
from bot.api.automatic.checkpoints import listed_controlnets
from bot.api.automatic.painting import REFUSALS
from bot.api.automatic.problems import answering
from bot.api.parts import Parts
from bot.request import CONTROLS_MAX
from bot.request.dialects.controlnet import OFFERED_MODULES

PREFIX: Final = "/controlnet"
VERSION: Final = 3
"""Of the extension's interface: units as they have been since its version 1.1.440."""


def routes(parts: Parts) -> APIRouter:
    """The router of these calls."""
    router = APIRouter(
        prefix=PREFIX,
        route_class=answering(parts.speaker),
        tags=["automatic1111"],
        responses=REFUSALS,
    )
    callers, backend = parts.callers, parts.desk.backend

    @router.get("/version", responses=examples.shown({"version": VERSION}))
    async def version(request: Request) -> dict[str, int]:
        """Of the extension's interface, as far as it is here."""
        await callers.of(request)
        return {"version": VERSION}

    @router.get("/model_list", responses=examples.shown(examples.CONTROLNETS))
    async def model_list(request: Request) -> dict[str, list[str]]:
        """The ControlNets, for the `model` of a unit in `alwayson_scripts.controlnet.args`."""
        caller = await callers.of(request)
        return {"model_list": listed_controlnets(backend.catalog.current, caller)}

    @router.get("/module_list", responses=examples.shown(examples.MODULES))
    async def module_list(request: Request) -> dict[str, Any]:
        """What can make the map of an image, for the `module` of a unit."""
        await callers.of(request)
        details = {name: {"model_free": False, "sliders": []} for name in OFFERED_MODULES}
        return {"module_list": list(OFFERED_MODULES), "module_detail": details}

    @router.get("/settings", responses=examples.shown({"control_net_unit_count": CONTROLS_MAX}))
    async def settings(request: Request) -> dict[str, int]:
        """How many units may act at once."""
        await callers.of(request)
        return {"control_net_unit_count": CONTROLS_MAX}

    return router
