"""Files for workers on other machines: what they lack of the catalog's, by digest."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Request
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from starlette.types import Message, Receive, Scope, Send

from bot.api.errors import NotFound, TooManyCalls
from bot.api.original.bodies import Problem
from bot.api.parts import Parts
from bot.distributed.bundles import Member, stamp_of
from bot.distributed.inventory import Inventory

log = logging.getLogger(__name__)

EACH_MAX: Final = 2
"""Files that are sent to one worker at once."""
ALL_MAX: Final = 4
"""And to all of them: more would only take longer each, and Discord shares the connection. The last
place is for a worker that has none."""
CHUNK: Final = 2**18
"""Bytes that are read at once, in another thread."""
STALLED: Final = 30.0
"""Seconds after which whoever takes no further piece loses the place to others."""

Digest = Annotated[
    str,
    Path(
        pattern=r"^[0-9a-f]{64}$",
        description="In hexadecimal.",
        examples=["9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
    ),
]


class File(BaseModel):
    """One file of a part."""

    name: str = Field(description="Below the folder of the part.", examples=["unet/config.json"])
    size: int = Field(description="In bytes.", examples=[1680])
    sha256: str = Field(description="By which to fetch it.", examples=["9f86d081…0f00a08"])


class PartFiles(BaseModel):
    """What a part consists of."""

    hub: bool = Field(description="Whether the digest is that of its name on the hub.")
    files: list[File] = Field(description="The one first that it is named after.")


def routes(parts: Parts, inventory: Inventory) -> APIRouter:
    """The router. Only files of the catalog are sent, and only to keys of workers."""
    router = APIRouter(prefix="/worker", tags=["workers"])
    callers, places = parts.callers, _Places()
    refusals: dict[int | str, dict[str, Any]] = {
        code: {"model": Problem, "description": HTTPStatus(code).phrase}
        for code in (400, 401, 403, 404, 429)
    }

    @router.get("/parts/{digest}", response_model=PartFiles, responses=refusals)
    async def part_files(request: Request, digest: Digest) -> dict[str, Any]:
        """The files of a part: of a model, a VAE, a LoRA and so on."""
        await callers.worker(request)
        if (part := inventory.sent(digest)) is None:
            raise NotFound("api.file.unknown")
        files = [{"name": f.name, "size": f.size, "sha256": f.sha256} for f in part.files]
        return {"hub": part.hub, "files": files}

    @router.get(
        "/files/{digest}",
        response_class=FileResponse,
        responses={
            200: {"content": {"application/octet-stream": {}}, "description": "The file."},
            206: {"content": {"application/octet-stream": {}}, "description": "A part of it."},
            416: {"description": "There is no such part."},
            **refusals,
        },
    )
    async def file(request: Request, digest: Digest) -> FileResponse:
        """One file, or the rest of it: `Range` works."""
        worker = await callers.worker(request)
        member = inventory.file(digest)
        if member is None or not await asyncio.to_thread(_is_there, member):
            raise NotFound("api.file.unknown")
        return _Sent(member, digest, places.take(worker.id))

    return router


class _Places:
    """For files that are being sent."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, worker: str) -> Callable[[], None]:
        """Returns what gives the place free again. Raises TooManyCalls."""
        own, all_of_them = self._taken[worker], self._taken.total()
        if own >= EACH_MAX or all_of_them >= (ALL_MAX - 1 if own else ALL_MAX):
            raise TooManyCalls("api.busy")
        self._taken[worker] += 1

        def give_back() -> None:
            self._taken[worker] -= 1
            if not self._taken[worker]:
                del self._taken[worker]

        return give_back


class _Sent(FileResponse):
    """A file, in larger pieces than usual: each costs a turn of the event loop."""

    chunk_size = CHUNK

    def __init__(self, member: Member, digest: str, sent: Callable[[], None]) -> None:
        """sent: called once at the end, one way or the other."""
        headers = {"ETag": f'"{digest}"', "Cache-Control": "private, no-transform"}
        super().__init__(member.path, media_type="application/octet-stream", headers=headers)
        self._sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as at_the_end:
            at_the_end.callback(self._sent)

            async def send_on(message: Message) -> None:
                async with asyncio.timeout(STALLED):
                    await send(message)
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    # The file is closed in another thread. The worker, which has all of it, may
                    # ask for the next one before that.
                    at_the_end.close()

            try:
                await super().__call__(scope, receive, send_on)
            except TimeoutError:
                log.info("a worker takes nothing of a file for %g s; it may go on later", STALLED)


def _is_there(member: Member) -> bool:
    """Whether the file is still the one that was hashed."""
    try:
        return stamp_of(member.path.stat()) == member.stamp
    except OSError:
        return False
