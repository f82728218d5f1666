"""Routes beyond the original interface: whole records of jobs, and the catalog with its files.

The command line as a client stands on them.
"""

import asyncio
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request

from bot.api.describing import record
from bot.api.original.bodies import Problem
from bot.api.parts import Parts
from bot.api.recorded import Entries, Record
from bot.store import ApiKey
from catalog.listing import Listed, problems, rows

FILES: Final = ("path", "weight_name", "revision", "vae_path", "text_encoder_path", "config")
"""Where an entry's files are, which is the owner's business."""


def routes(parts: Parts) -> APIRouter:
    """The router."""
    router = APIRouter(tags=["records"])
    desk, callers, speaker = parts.desk, parts.callers, parts.speaker
    refusals: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem, "description": HTTPStatus(code).phrase} for code in (401, 403, 404)
    }

    @router.get("/jobs/{job_id}", response_model=Record, responses=refusals)
    async def job_record(request: Request, job_id: str) -> dict[str, Any]:
        """A job as the command line's `--json` prints it, with its recipe."""
        caller = await callers.of(request)
        job = await desk.job(caller, job_id)
        return record(job, await desk.images(job), speaker(request))

    @router.get("/catalog/{kind}", response_model=Entries, responses=refusals)
    async def entries(
        request: Request, kind: Annotated[Listed, Path(description="Of what.")]
    ) -> dict[str, Any]:
        """The catalog as `main.py models`, `loras`, `embeddings` and `controlnets` print it, with
        what its files say. Where they are is told to keys with `--admin` alone."""
        caller = await callers.of(request)
        backend = desk.backend
        catalog, models_dir = backend.catalog.current, backend.settings.models_dir.absolute()
        found = await asyncio.to_thread(rows, kind, catalog, models_dir)
        wrong = problems(kind, catalog, models_dir)
        return {
            "entries": [_for(caller, row) for row in found if _may_know(caller, row)],
            "problems": list(map(str, wrong)) if caller.admin else [],
        }

    return router


def _may_know(caller: ApiKey, row: dict[str, Any]) -> bool:
    """What is left out for its mistakes is shown to the owner: whether it is NSFW is unknown."""
    if "nsfw" not in row:
        return caller.admin
    return caller.nsfw or not row["nsfw"]


def _for(caller: ApiKey, row: dict[str, Any]) -> dict[str, Any]:
    if caller.admin:
        return row
    return {name: None if name in FILES else value for name, value in row.items()}
