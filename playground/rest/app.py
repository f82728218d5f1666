"""How each request is handled: parse, check, respond, check the response."""

import json
import re
import time
import traceback
from functools import partial
from typing import Any

from aiohttp import web

from playground import limits
from playground.core import Core, Request, Upload
from playground.errors import ApiError, Problem, form_error, too_large
from playground.rest import commands, identity, interactions, messages, reactions, webhooks
from playground.rest.route import Answer, Call, Route

JsonObject = dict[str, Any]
PREFIX = "/api/v10"


class Api:
    """Handles everything under ``/api/v10``."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Route every request under ``/api/v10`` here."""
        parts = (identity, commands, messages, reactions, interactions, webhooks)
        for route in (route for part in parts for route in part.routes()):
            router.add_route(route.method, PREFIX + route.path, partial(self._handle, route))
        router.add_route("*", PREFIX + "/{unknown:.*}", partial(self._handle, None))

    async def _handle(self, route: Route | None, request: web.Request) -> web.Response:
        """Respond to one request from the bot; both are recorded and checked."""
        core, began = self._core, time.monotonic()
        path = request.raw_path.split("?", 1)[0].removeprefix(PREFIX)
        call = Call(
            core, request.method, path, dict(request.query), params=dict(request.match_info)
        )
        headers: dict[str, str] = {}
        answer: Any
        try:
            await self._read(request, call)
            self._admit(route, request, call, headers)
            answer = await self._answer(route, call)
            if (lost := core.faults.take_lost(call.method, path)) is not None:
                raise lost
            status = 204 if answer is None else 200
        except ApiError as error:
            answer, status = error.body(), error.status
            headers |= error.headers
            if not error.expected:
                core.violate(f"{call.where}: refused with {error}{_details(error)}")
        except ConnectionResetError:  # while reading it: the bot exited, perhaps killed
            answer, status = None, 0
        except Exception as error:
            answer, status = {"message": "500: Internal Server Error", "code": 0}, 500
            trace = "".join(traceback.format_exception(error))
            core.violate(f"{call.where}: the playground itself failed: {trace}")
        if status:
            for wrong in core.openapi.check_answer(call.method, path, status, answer):
                core.violate(f"{call.where}: own answer with {status}: {wrong}")
        await self._hold()
        names = tuple(file.filename for _, file in sorted(call.files.items()))
        core.requests.append(Request(began, call.method, path, call.body, status, names))
        core.signal.notify()
        if not status:
            if request.transport is not None:
                request.transport.close()
            return web.Response(status=500)
        # Without Via, discord.py mistakes a 429 for a Cloudflare ban.
        headers["Via"] = "1.1 google"
        if answer is None:
            return web.Response(status=status, headers=headers)
        # Exactly this content type: with a charset, discord.py returns a string.
        headers["Content-Type"] = "application/json"
        return web.Response(status=status, body=json.dumps(answer).encode(), headers=headers)

    async def _hold(self) -> None:
        """Wait while answers are held, see `Stage.hold_answers`."""
        core = self._core
        core.held += 1
        try:
            await core.answering.wait()
        finally:
            core.held -= 1

    def _admit(
        self, route: Route | None, request: web.Request, call: Call, headers: dict[str, str]
    ) -> None:
        core = self._core
        if (route is None or route.token) and (
            request.headers.get("Authorization") != f"Bot {core.token}"
        ):
            raise ApiError(401, 0, "401: Unauthorized")
        spent, limited = core.faults.spend(call.method, call.path)
        headers |= spent
        if (fault := core.faults.take(call.method, call.path)) is not None:
            raise fault
        if limited is not None:
            raise limited

    async def _answer(self, route: Route | None, call: Call) -> Answer:
        core = self._core
        if route is None:
            core.violate(f"{call.where}: the playground does not know this route")
            raise ApiError(404, 0, "404: Not Found", expected=True)
        core.demand(core.openapi.check_request(call.method, call.path, call.body), call.where)
        return await route.handler(call)

    async def _read(self, request: web.Request, call: Call) -> None:
        if (request.content_length or 0) > limits.REQUEST_BYTES:
            # Read to the end: a client that is still sending would see a reset, not the response.
            async for _ in request.content.iter_chunked(1 << 20):
                pass
            raise too_large()
        if request.content_type == "multipart/form-data":
            await self._read_multipart(request, call)
        elif request.can_read_body:
            raw = await request.read()
            if raw:
                call.body = _json(raw.decode())

    async def _read_multipart(self, request: web.Request, call: Call) -> None:
        total = 0
        form = await request.post()
        for name, value in form.items():
            if isinstance(value, web.FileField):
                match = re.fullmatch(r"files\[(\d+)\]", name)
                if match is None:
                    message = f"part {name!r} is not a file; allowed: files[0] to files[9]"
                    raise form_error([Problem((name,), "BASE_TYPE_BAD_VALUE", message)])
                data = value.file.read()
                value.file.close()
                total += len(data)
                call.files[int(match[1])] = Upload(value.filename, data)
            elif name == "payload_json":
                call.body = _json(str(value))
        if total > limits.REQUEST_BYTES:
            raise too_large()


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ApiError(400, 50109, "The request body contains invalid JSON.") from None


def _details(error: ApiError) -> str:
    return f" {json.dumps(error.errors)}" if error.errors else ""
