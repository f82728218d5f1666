"""Routes that list, tell and set: models, samplers, progress, options and the like."""

import asyncio
import base64
import os
from collections import Counter
from typing import Annotated, Any, Final

import psutil
from fastapi import APIRouter, Body, Request

from bot.api.automatic import checkpoints, describing, examples
from bot.api.automatic.bodies import ProgressState
from bot.api.automatic.chosen import Chosen
from bot.api.automatic.enlarging import all_upscalers
from bot.api.automatic.painting import REFUSALS
from bot.api.automatic.problems import AsciiJson, answering
from bot.api.automatic.samplers import listed_samplers, listed_schedulers
from bot.api.automatic.units import SCRIPT
from bot.api.desk import Desk
from bot.api.parts import Parts
from bot.engine.ram import usable_ram
from bot.errors import Refused
from bot.progress import Progress, Stage
from bot.store import ApiKey, Job

LISTS: Final = (
    "prompt-styles",
    "hypernetworks",
    "face-restorers",
    "realesrgan-models",
    "latent-upscale-modes",
    "script-info",
    "extensions",
)
"""What there is none of here, though clients ask for it."""
REFRESHED: Final = ("checkpoints", "loras", "vae", "embeddings")
FLAGS: Final = {"api": True, "nowebui": True, "share": False, "medvram": False, "lowvram": False}


def routes(parts: Parts) -> APIRouter:
    """The router of these calls."""
    router = APIRouter(
        route_class=answering(parts.speaker), tags=["automatic1111"], responses=REFUSALS
    )
    desk, callers, speaker = parts.desk, parts.callers, parts.speaker
    backend = desk.backend
    models_dir = backend.settings.models_dir.absolute()
    chosen = Chosen(backend)

    @router.get("/progress", response_model=ProgressState)
    async def progress(request: Request, skip_current_image: bool = False) -> dict[str, Any]:
        """How far the caller's jobs are, with a preview of the one that runs."""
        caller = await callers.of(request)
        jobs = await _current_first(desk, caller)
        now = jobs[0][1] if jobs else None
        preview = None
        if now is not None and now.preview is not None and not skip_current_image:
            preview = base64.b64encode(now.preview).decode()
        return describing.progress(jobs, preview)

    @router.post("/interrupt", responses=examples.shown({}))
    async def interrupt(request: Request) -> dict[str, Any]:
        """Cancel the caller's job that runs, or else the one that would run first."""
        caller = await callers.of(request)
        for job, _ in (await _current_first(desk, caller))[:1]:
            await desk.cancel(caller, job.id)
        return {}

    @router.post("/skip")
    async def skip(request: Request) -> None:
        """The same for a job of one image; there is no leaving out one of several."""
        caller = await callers.of(request)
        for job, _ in (await _current_first(desk, caller))[:1]:
            if job.request.count > 1:
                raise Refused("api.automatic.skip")
            await desk.cancel(caller, job.id)

    @router.get("/options", responses=examples.shown(examples.OPTIONS))
    async def options(request: Request) -> dict[str, Any]:
        """The caller's checkpoint, and options that are fixed."""
        return await chosen.options(await callers.of(request))

    @router.post("/options")
    async def set_options(request: Request, body: Annotated[dict[str, Any], Body()]) -> AsciiJson:
        """Choose a checkpoint, for this caller. Other options are named in `warnings`."""
        notices = await chosen.choose(await callers.of(request), body)
        say = speaker(request)
        warnings = [say(notice.code, **notice.params) for notice in notices]
        return AsciiJson({"warnings": warnings} if warnings else None)

    @router.get("/sd-models", responses=examples.shown([examples.CHECKPOINT]))
    async def sd_models(request: Request) -> list[dict[str, Any]]:
        """The checkpoints; their hashes are known once they were used."""
        caller = await callers.of(request)
        return await asyncio.to_thread(
            checkpoints.listed_models,
            backend.catalog.current,
            models_dir,
            await chosen.known(),
            caller,
        )

    @router.get("/sd-vae", responses=examples.shown([examples.VAE]))
    async def sd_vae(request: Request) -> list[dict[str, Any]]:
        """The VAEs that checkpoints bring along; they are used by themselves."""
        caller = await callers.of(request)
        return [*checkpoints.listed_vaes(backend.catalog.current, caller)]

    @router.get("/loras", responses=examples.shown([examples.LORA]))
    async def loras(request: Request) -> list[dict[str, Any]]:
        """The LoRAs, for `<lora:name:0.8>` in a prompt."""
        caller = await callers.of(request)
        return checkpoints.listed_loras(backend.catalog.current, await chosen.known(), caller)

    @router.get("/embeddings", responses=examples.shown(examples.EMBEDDINGS))
    async def embeddings(request: Request) -> dict[str, Any]:
        """The embeddings: those for the caller's checkpoint, and the others."""
        caller = await callers.of(request)
        model, _ = await chosen.model(caller)
        return checkpoints.listed_embeddings(backend.catalog.current, model, caller)

    @router.get("/samplers", responses=examples.shown([examples.SAMPLER]))
    async def samplers(request: Request) -> list[dict[str, Any]]:
        await callers.of(request)
        return listed_samplers()

    @router.get("/schedulers", responses=examples.shown([examples.SCHEDULER]))
    async def schedulers(request: Request) -> list[dict[str, Any]]:
        await callers.of(request)
        return listed_schedulers()

    @router.get("/upscalers", responses=examples.shown([examples.UPSCALER]))
    async def upscalers(request: Request) -> list[dict[str, Any]]:
        """What resamples, and the upscalers of the catalog."""
        caller = await callers.of(request)
        return all_upscalers(backend.catalog.current, nsfw=caller.nsfw)

    @router.get("/scripts", responses=examples.shown(examples.SCRIPTS))
    async def scripts(request: Request) -> dict[str, list[str]]:
        """Those of the extension for ControlNets, where there are any."""
        caller = await callers.of(request)
        any_here = checkpoints.listed_controlnets(backend.catalog.current, caller)
        return {way: [SCRIPT] if any_here else [] for way in ("txt2img", "img2img")}

    @router.get("/memory", responses=examples.shown(examples.MEMORY))
    async def memory(request: Request) -> dict[str, Any]:
        """Bytes of RAM, and of the GPUs' memory together once they were used."""
        await callers.of(request)
        used = psutil.Process(os.getpid()).memory_info().rss
        gpus = Counter[str]()
        for sizes in (await asyncio.to_thread(backend.gpu_memory)).values():
            gpus.update(sizes)
        return describing.memory(usable_ram(), used, gpus)

    @router.get("/cmd-flags", responses=examples.shown(FLAGS))
    async def cmd_flags(request: Request) -> dict[str, Any]:
        await callers.of(request)
        return dict(FLAGS)

    async def nothing(request: Request) -> list[Any]:
        """There is none of this here."""
        await callers.of(request)
        return []

    for name in LISTS:
        router.add_api_route(
            f"/{name}",
            nothing,
            methods=["GET"],
            operation_id=f"no_{name}",
            responses=examples.shown([]),
        )

    async def refresh(request: Request) -> None:
        """Look for new files in the catalog's folders at once, not only within seconds."""
        await callers.of(request)
        await asyncio.to_thread(backend.catalog.refresh)

    for name in REFRESHED:
        router.add_api_route(
            f"/refresh-{name}",
            refresh,
            methods=["POST"],
            operation_id=f"refresh_{name}",
        )

    return router


async def _current_first(desk: Desk, caller: ApiKey) -> list[tuple[Job, Progress | None]]:
    """The caller's unfinished jobs and where they are: running ones, then those that wait."""

    def waits(each: tuple[Job, Progress | None]) -> bool:
        _, now = each
        return now is None or now.stage is Stage.QUEUED

    jobs = [(job, await desk.progress(job)) for job in await desk.unfinished(caller)]
    return sorted(jobs, key=waits)
