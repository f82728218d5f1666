"""The page's own port on 127.0.0.1: its files, the stream of changes, and the acts."""

import errno
import json
from pathlib import Path
from types import TracebackType
from typing import Self

from aiohttp import web

from playground.errors import ApiError, ClientRefused, NotAcknowledged
from playground.page import guard
from playground.page.acts import Acts, Call
from playground.page.body import Malformed, parse, shown
from playground.page.rooms import PEOPLE
from playground.page.stream import Stream
from playground.server import Playground
from playground.user import User

PORT = 8799
TRIED = 100
"""How many ports to try, starting from the requested one."""
PORT_MAX = 65_535
WEB = Path(__file__).parent.parent / "web"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
"""Explicit: `mimetypes` differs between machines, and a wrong type breaks the page."""
BODY_MAX = 64 * 1024 * 1024


class Page:
    """``async with Page(playground) as page`` serves it at ``page.url``.

    examples: commands that the page suggests while there are no messages.
    """

    def __init__(
        self, playground: Playground, *, port: int = PORT, examples: tuple[str, ...] = ()
    ) -> None:
        self._core = playground.core
        self._people = [playground.user(name) for name in PEOPLE]
        self._acts = Acts(playground.core)
        self._examples = examples
        self._wanted = port
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[guard.guard], client_max_size=BODY_MAX)
        app.router.add_get("/api/events", self._events)
        app.router.add_get("/api/start", self._start)
        app.router.add_post("/api/{act}", self._act)
        app.router.add_get("/{name:.*}", self._file)
        app.on_response_prepare.append(self._dress)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        port = await self._listen(self._runner)
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> int:
        """Listen on the requested port or the next free one. Raises OSError if there is none."""
        last = min(self._wanted + TRIED - 1, PORT_MAX) if self._wanted else 0
        for port in range(self._wanted, last + 1):
            try:
                await web.TCPSite(runner, "127.0.0.1", port).start()
            except OSError as error:
                if error.errno != errno.EADDRINUSE or port == last:
                    raise
            else:
                break
        taken: int = runner.addresses[0][1]
        return taken

    async def _dress(self, _: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(guard.headers(self._core.base_url))

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["name"] or "index.html"
        known = {path.relative_to(WEB).as_posix(): path for path in WEB.rglob("*.*")}
        path = known.get(name)
        if path is None or path.suffix not in TYPES:
            return web.Response(status=404, text="There is no such file.")
        body = path.read_text(encoding="utf-8")
        return web.Response(text=body, content_type=TYPES[path.suffix])

    async def _start(self, _: web.Request) -> web.Response:
        """The users that the page can act as: needed before it opens the stream of one."""
        people = [str(person.id) for person in self._people]
        return web.json_response({"people": people, "examples": self._examples})

    def _person(self, identifier: object) -> User:
        for person in self._people:
            if identifier == str(person.id):
                return person
        raise web.HTTPForbidden(text=f"The page does not act as {shown(identifier)}.")

    async def _events(self, request: web.Request) -> web.StreamResponse:
        viewer = self._person(request.query.get("as", ""))
        return await Stream(self._core, viewer, [*self._people]).serve(request)

    async def _act(self, request: web.Request) -> web.Response:
        act = request.match_info["act"]
        if not self._acts.knows(act):
            return _failed(404, "malformed", f"unknown act {shown(act)}")
        try:
            body = parse(await request.read())
            call = Call(self._person(body.get("as")), body)
            return web.json_response(await self._acts.do(act, call))
        except web.HTTPRequestEntityTooLarge:
            return _failed(413, "malformed", f"the body has more than {BODY_MAX} bytes")
        except Malformed as error:
            return _failed(400, "malformed", str(error))
        except ClientRefused as error:
            return _failed(409, "refused", str(error))
        except ApiError as error:
            details = json.dumps(error.errors) if error.errors else ""
            return _failed(409, "refused", f"{error.message} {details}".strip())
        except NotAcknowledged as error:
            return _failed(504, "silent", str(error))


def _failed(status: int, kind: str, text: str) -> web.Response:
    return web.json_response({"error": kind, "text": text}, status=status)
