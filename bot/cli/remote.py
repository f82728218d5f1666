"""The command line as a client: `--server URL` has a running server do the work."""

import asyncio
import base64
import hashlib
import json
import math
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError

from bot.api.recorded import Entries, Record
from bot.cli.asked import Asked
from bot.cli.remote_calls import FIELDS, PATIENCE, Calls, Lost
from bot.cli.result import BAD_REQUEST, NotDone, Result, printable, write
from bot.cli.watching import Watcher, until_ended
from bot.request import EDITED, AnyDraft, CompareDraft, DescribeDraft, Draft, MapDraft, UpscaleDraft
from bot.request.syntax import parse_adapters
from bot.texts.language import Say
from catalog.listing import Listed

T = TypeVar("T")

PAUSE: Final = 0.5
"""Seconds between two attempts to reach a server that has gone."""
ENDED: Final = ("done", "failed", "cancelled")

_ID: Final = re.compile(r"[\w-]{1,64}", re.ASCII)
_FILE: Final = re.compile(r"\w[\w. ()+-]{0,200}\.png")


async def generate_remotely(
    asked: Asked, server: "RemoteServer", watcher: Watcher, stop: asyncio.Event
) -> Result:
    """Generate on `server`, and save the images to `asked.out`, or else in the current folder.

    Raises InvalidRequest, NotDone.
    """
    try:
        job_id = await server.accept(asked)

        async def cancel() -> None:
            await server.cancel(job_id)

        record = await until_ended(server.wait(job_id, watcher.show_line), stop, cancel)
        folder = asked.out or Path()
        files = [await server.download(job_id, image, folder) for image in record["images"]]
        return Result(record, files)
    finally:
        await server.close()


class RemoteServer:
    """A running server. All methods raise NotDone."""

    def __init__(self, url: str, key: str | None, say: Say) -> None:
        self._calls = Calls(url, key, say)

    async def accept(self, asked: Asked) -> str:
        """Returns the id of the accepted job. Raises InvalidRequest, too."""
        path, wanted = _asked(asked.draft, asked.pictures)
        body = json.dumps(wanted, allow_nan=False)
        headers = {
            "Content-Type": "application/json",
            # So that a call repeated because its answer was lost is the same job.
            "Idempotency-Key": secrets.token_hex(16),
        }
        accepted = await self._insistently(
            lambda: self._calls.json("POST", path, content=body.encode(), headers=headers)
        )
        job_id = accepted.get("job_id")
        if not isinstance(job_id, str) or not _ID.fullmatch(job_id):
            raise self._calls.stranger("POST", path)
        return job_id

    async def wait(self, job_id: str, report: Callable[[str], None]) -> dict[str, Any]:
        """Wait for a job's end, also if the server is restarted meanwhile; returns its record."""

        async def end() -> dict[str, Any]:
            async for event, status in self._calls.events(f"events/{job_id}"):
                if event in ENDED:
                    return await self._record(job_id)
                if isinstance(line := status.get("message"), str):
                    report(printable(line))
            raise Lost("the connection was closed")

        return await self._insistently(end, f". If it is started again, it goes on with {job_id}")

    async def _record(self, job_id: str) -> dict[str, Any]:
        path = f"jobs/{job_id}"
        return self._valid(Record, path, await self._calls.json("GET", path))

    def _valid(self, form: type[BaseModel], path: str, body: dict[str, Any]) -> dict[str, Any]:
        """`body` as it is. Raises NotDone if it has not the form that is printed."""
        try:
            form.model_validate(body)
        except ValidationError:
            raise self._calls.stranger("GET", path) from None
        return body

    async def cancel(self, job_id: str) -> None:
        try:
            await self._calls.json("DELETE", f"jobs/{job_id}")
        except Lost as lost:
            raise NotDone(f"job {job_id} could not be cancelled: {lost}") from lost

    async def download(self, job_id: str, image: Mapping[str, Any], folder: Path) -> Path:
        """Save an image of the job's record; returns where it is."""
        number = str(image["url"]).rpartition("/")[2]
        if not number.isdecimal() or not _FILE.fullmatch(image["file"]):
            raise self._calls.stranger("GET", f"jobs/{job_id}")
        data = await self._insistently(lambda: self._calls.data(f"image/{job_id}/{number}"))
        if hashlib.sha256(data).hexdigest() != image["sha256"]:
            raise NotDone(f"image {number} of job {job_id} was changed on its way here")
        try:
            return await asyncio.to_thread(write, folder, image["file"], data, job_id)
        except OSError as error:
            raise NotDone(f"{error.filename}: cannot be saved: {error.strerror}") from error

    async def catalog(self, what: Listed) -> dict[str, Any]:
        """Its entries of that kind, and its problems with them."""
        path = f"catalog/{what}"
        try:
            return self._valid(Entries, path, await self._calls.json("GET", path))
        except Lost as lost:
            raise NotDone(str(lost)) from lost

    async def close(self) -> None:
        await self._calls.close()

    async def _insistently(self, call: Callable[[], Awaitable[T]], hint: str = "") -> T:
        """Repeat a call while the server is away, for at most PATIENCE after it was last heard."""
        while True:
            try:
                return await call()
            except Lost as lost:
                if self._calls.silent_for() >= PATIENCE:
                    raise NotDone(f"{lost}{hint}") from lost
            await asyncio.sleep(PAUSE)


def _asked(draft: AnyDraft, pictures: Mapping[str, bytes]) -> tuple[str, dict[str, Any]]:
    """Where it is asked for, and what is sent there. Raises InvalidRequest, NotDone."""
    match draft:
        case UpscaleDraft():
            return "upscale", _upscale(draft, pictures)
        case DescribeDraft():
            style = {} if draft.style is None else {"style": draft.style}
            files = {name: _data_url(data) for name, data in pictures.items()}
            return "describe", {**style, **files}
        case CompareDraft():
            named = ("axis", "values", "axis2", "values2")
            axes = [said for ask in draft.asks for said in (ask.name, ask.values)]
            axes_said = {name: said for name, said in zip(named, axes, strict=False) if said}
            return "compare", _body(draft.draft, pictures) | axes_said
        case MapDraft():
            raise ValueError("no command asks for a map alone")
        case _:
            return "generate", _body(draft, pictures)


def _upscale(draft: UpscaleDraft, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """What `POST /upscale` takes."""
    body = {
        "scale": draft.scale,
        "upscaler": draft.upscaler,
        "mode": draft.mode,
        "prompt": draft.prompt,
        "negative_prompt": draft.negative,
        "model": draft.model,
        "loras": _loras(draft.lora),
        "strength": draft.strength,
        "steps": draft.steps,
        "seed": draft.seed,
    }
    return _given(body) | {name: _data_url(data) for name, data in pictures.items()}


def _body(draft: Draft, pictures: Mapping[str, bytes]) -> dict[str, Any]:
    """What `POST /generate` takes. Raises InvalidRequest, NotDone."""
    body = {
        "prompt": draft.prompt,
        "negative_prompt": draft.negative,
        "model": draft.model,
        "loras": _loras(draft.lora),
        "steps": draft.steps,
        "guidance_scale": draft.guidance,
        "seed": draft.seed,
        "variation": draft.variation,
        "size": draft.size,
        "count": draft.count,
        "scheduler": draft.scheduler,
        "preset": draft.preset,
        "hires": draft.hires,
        "strength": draft.strength,
        "extend": draft.extend,
        "inpaint_area": draft.inpaint_area,
        "inpaint_padding": draft.inpaint_padding,
        "reference_weight": draft.reference_weight,
        "control": draft.control,
        "detail": draft.detail,
        "tile": draft.tile,
    }
    files: dict[str, Any] = {name: _data_url(data) for name, data in pictures.items()}
    if edited := [files.pop(name) for name in EDITED if name in files]:
        files["edit"] = edited
    return _given(body) | files


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """What of it was given. Raises NotDone for a number that JSON has not got."""
    for name, value in body.items():
        if isinstance(value, float) and not math.isfinite(value):
            option = FIELDS.get(name, name)
            raise NotDone(f"{option}: {value} won't work. It must be a finite number.", BAD_REQUEST)
    return {name: value for name, value in body.items() if value is not None}


def _loras(typed: str | None) -> list[dict[str, Any]]:
    """Raises InvalidRequest."""
    return [
        {"name": ask.name, "weight": ask.weight, "text_weight": ask.text_weight}
        for ask in parse_adapters(typed or "")
    ]


def _data_url(data: bytes) -> str:
    return f"data:;base64,{base64.b64encode(data).decode()}"
