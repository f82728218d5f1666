"""Ending: what callers are told who still wait when the server ends."""

import asyncio

from fastapi import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bot.api.errors import ServerEnds, answer_to
from bot.api.languages import speaker_for
from bot.api.refusals import Refusals
from bot.texts.language import Texts


class Ending:
    """An ASGI application around another, whose calls the server cancels when it ends."""

    def __init__(self, app: ASGIApp, *, texts: Texts, refusals: Refusals) -> None:
        self._app = app
        self._texts = texts
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noticing(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noticing)
        except asyncio.CancelledError:
            # Not raised: it has done its work, and uvicorn would log it as an error.
            if not begun and scope["type"] == "http":
                request = Request(scope)
                say = speaker_for(self._texts, request)
                answer = answer_to(ServerEnds("api.ending"), say)
                await self._refusals.response(request, answer)(scope, receive, send)
