"""Routes of the extension sd-webui-controlnet: what there is to choose from, and maps alone."""

import asyncio
import json
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from bot.api.automatic import examples
from bot.api.automatic.bodies import Detect, Detected
from bot.api.automatic.checkpoints import listed_controlnets, listed_types
from bot.api.automatic.detecting import IMAGES, checked, mapped
from bot.api.automatic.painting import REFUSALS, decoded
from bot.api.automatic.problems import answering
from bot.api.large_answers import ImagesIn
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

    @router.get("/control_types", responses=examples.shown(examples.CONTROL_TYPES))
    async def control_types(request: Request) -> dict[str, Any]:
        """The modules and ControlNets for each type of map that one of them is for."""
        caller = await callers.of(request)
        return {"control_types": listed_types(backend.catalog.current, caller)}

    @router.post("/detect", response_model=Detected, response_model_exclude_none=True)
    async def detect(request: Request, body: Detect) -> Response:
        """Make the maps of images, and wait for them: each is a job like any other. A caller that
        hangs up cancels them."""
        caller = await callers.of(request)
        callers.count(caller)
        module, side, notices = checked(body)
        sent = ImagesIn()
        images = []
        for number, text in enumerate(body.images):
            data = await decoded(f"{IMAGES}[{number}]", text)
            # The call counts for the first of them.
            asked = (data, module.type or "", side, request, parts.desk, caller)
            job = await mapped(*asked, counted=number == 0)
            _, _, path = await parts.desk.image(caller, job.id)
            images.append(sent.name(await asyncio.to_thread(path.read_bytes)))
            notices += job.warnings
        say = parts.speaker(request)
        warnings = [say(each.code, **each.params) for each in notices]
        content = {"images": images, "info": "Success"}
        content |= {"warnings": warnings} if warnings else {}
        return await sent.json(lambda: json.dumps(content))

    @router.get("/settings", responses=examples.shown({"control_net_unit_count": CONTROLS_MAX}))
    async def settings(request: Request) -> dict[str, int]:
        """How many units may act at once."""
        await callers.of(request)
        return {"control_net_unit_count": CONTROLS_MAX}

    return router
