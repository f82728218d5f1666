"""Serves a call for images: accepts its job, waits for it, and returns the images."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from bot.api.bodies import aside
from bot.api.errors import Answer, answer_to, status_of_failure
from bot.api.large_answers import ImagesIn
from bot.api.openai.answering import (
    Partials,
    completed_events,
    event,
    file_as,
    image_body,
    images_body,
    partial_event,
)
from bot.api.openai.asking import Asked, image_characters, understood
from bot.api.openai.bodies import Edit, Images, Options
from bot.api.openai.links import Links
from bot.api.openai.refusing import FORM, NAMES, error
from bot.api.parts import Parts
from bot.api.waiting import STILL_THERE, EventStream, HungUp, news_of, while_there
from bot.errors import ImagenError
from bot.store import ApiKey, Job, JobState
from bot.texts.language import Say

ONCE: Final = {"x-should-retry": "false"}
"""Tells OpenAI's client that calling again would only generate for nothing again."""
GONE: Final = 499
"""nginx's status for a caller who hung up; no one gets to see it."""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call whose job was accepted. repeatable: whether the caller may come back for it."""

    request: Request
    caller: ApiKey
    asked: Asked
    kind: str
    say: Say
    job_id: str
    repeatable: bool


class Serving:
    """Of both calls, whole or as a stream."""

    def __init__(self, parts: Parts, links: Links) -> None:
        self._desk = parts.desk
        self._callers = parts.callers
        self._speaker = parts.speaker
        self._links = links

    async def serve(self, request: Request, body: Options, repeat_key: str | None) -> Response:
        """Raises what `Desk.accept` and `Desk.image` raise."""
        caller, desk = await self._callers.of(request), self._desk
        backend = desk.backend
        asked = await aside(
            image_characters(body),
            understood,
            body,
            backend.catalog.current,
            nsfw=caller.nsfw,
            previews=backend.settings.preview,
        )
        desk.check_following(caller)
        accepted = await desk.accept(caller, asked.draft, asked.pictures, repeat_key)
        call = _Call(
            request=request,
            caller=caller,
            asked=asked,
            kind="image_edit" if isinstance(body, Edit) else "image_generation",
            say=self._speaker(request),
            job_id=accepted.job.id,
            repeatable=repeat_key is not None,
        )
        if asked.stream:
            return EventStream(self._events(call), lambda: self._given_up(call))
        try:
            job = await while_there(request, desk.wait(caller, call.job_id))
        except HungUp:
            await self._given_up(call)
            return Response(status_code=GONE)
        if job.state is not JobState.DELIVERED:
            answer = _failure(job, call.say)
            return JSONResponse(FORM.body(answer), answer.status, ONCE)
        sent = ImagesIn()
        answered = await self._images(call, job, sent)
        return await sent.json(lambda: answered.model_dump_json(exclude_none=True))

    async def _events(self, call: _Call) -> AsyncIterator[str | bytes]:
        desk, asked = self._desk, call.asked
        partials = Partials(asked.partial_images)
        try:
            async with desk.following(call.caller, call.job_id) as (job, feed):
                async for news in news_of(feed):
                    if news is None:
                        yield STILL_THERE
                    elif (chosen := partials.next(job, news)) is not None:
                        yield await asyncio.to_thread(
                            partial_event, call.kind, *chosen, asked.wanted
                        )
            job = await desk.job(call.caller, call.job_id)
            if job.state is not JobState.DELIVERED:
                yield event("error", error=error(_failure(job, call.say)))
                return
            sent = ImagesIn()
            body = await self._images(call, job, sent)
            for text in completed_events(call.kind, job, body, asked.wanted):
                yield await asyncio.to_thread(sent.fill, text)
        except ImagenError as problem:
            yield event("error", error=error(answer_to(problem, call.say, NAMES)))

    async def _images(self, call: _Call, job: Job, sent: ImagesIn) -> Images:
        """The answer, with names of those in `sent`. Raises as `Desk.image`."""
        wanted, images = call.asked.wanted, []
        for record in await self._desk.images(job):
            n = record.n + 1
            image = image_body(job, record.seed)
            if wanted.links:
                image.url = await self._links.to(
                    call.request, job.id, f"{n}.{wanted.format}", wanted.compression
                )
            else:
                _, _, path = await self._desk.image(call.caller, job.id, n)
                data = await file_as(path, wanted.format, wanted.compression)
                image.b64_json = sent.name(data)
            images.append(image)
        notices = (*call.asked.notes, *job.warnings)
        warnings = [call.say(notice.code, **notice.params) for notice in notices]
        return images_body(job, images, wanted, warnings)

    async def _given_up(self, call: _Call) -> None:
        """The person who waited has hung up, so no one would see the images."""
        if not call.repeatable:
            await self._desk.cancel(call.caller, call.job_id)


def _failure(job: Job, say: Say) -> Answer:
    """Of a job that failed or was cancelled."""
    if job.state is JobState.CANCELLED:
        return Answer(HTTPStatus.CONFLICT, "job_cancelled", say("api.job.cancelled"), {})
    if job.error is None:
        return Answer(HTTPStatus.INTERNAL_SERVER_ERROR, "api.unexpected", say("api.unexpected"), {})
    detail = say(job.error.code, **job.error.params)
    return Answer(status_of_failure(job.error.code), job.error.code, detail, {})
