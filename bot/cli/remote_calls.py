"""Calls to a server, and what can go wrong with each in one sentence."""

import json
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import httpx2

from bot.cli.result import BAD_REQUEST, NotDone
from bot.texts.language import Say

PATIENCE: Final = 60.0
"""Seconds that a server which is away is given to come back."""
TIMEOUT: Final = httpx2.Timeout(60, connect=10)
"""Seconds. An event stream without news says every 15 seconds that it is there."""

FIELDS: Final[Mapping[str, str]] = {
    "guidance_scale": "guidance",
    "negative_prompt": "negative",
    "loras": "lora",
}
"""The command line's names for fields of `POST /generate`, where they differ."""
AWAY: Final = (502, 503, 504)
"""What a proxy answers while the server behind it is away; the server itself, when it is full."""

NO_SUCH_ROUTE: Final = ("api.http.missing", "api.http.method")


class Lost(Exception):
    """The server went away in the middle of a call, or was not there; the text says how."""


class Calls:
    """Methods raise Lost or NotDone, and never follow a redirect: the key is for this server."""

    def __init__(self, url: str, key: str | None, say: Say) -> None:
        """url: of the server's root. key: None where none is needed."""
        self._url = url
        self._say = say
        self._heard: float | None = None
        headers = {"Accept-Language": "en"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        self._client = httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT, follow_redirects=False
        )

    async def json(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """The object that the server answers with."""
        answer = await self._send(method, path, **request)
        body = _json(answer.content)
        if not isinstance(body, dict):
            raise self.stranger(method, path)
        return body

    async def data(self, path: str) -> bytes:
        """A file."""
        return (await self._send("GET", path)).content

    async def events(self, path: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """The events of a stream: the name of each, and the object it brings."""
        begun = False
        try:
            async with self._client.sse(path) as source:
                if not source.response.is_success:
                    await source.response.aread()
                    self._check("GET", path, source.response)
                begun = True
                async for event in source:
                    body = _json(event.data)
                    if not isinstance(body, dict):
                        raise self.stranger("GET", path)
                    yield event.event, body
        except httpx2.SSEError as error:
            raise self.stranger("GET", path) from error
        except httpx2.HTTPError as error:
            raise self._failed(error) from error
        finally:
            if begun:  # also without any news, it was there until now
                self._heard = time.monotonic()

    def silent_for(self) -> float:
        """Seconds since the server was last heard; infinite if it never was."""
        return float("inf") if self._heard is None else time.monotonic() - self._heard

    def stranger(self, method: str, path: str, answered: str = "something else") -> NotDone:
        """The server is not one of ours, or a proxy before it speaks for it."""
        return NotDone(
            f"{self._url} does not answer like an Imagen server: {method} /{path} got {answered}",
            BAD_REQUEST,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, **request: Any) -> httpx2.Response:
        try:
            answer = await self._client.request(method, path, **request)
        except httpx2.HTTPError as error:
            raise self._failed(error) from error
        self._check(method, path, answer)
        self._heard = time.monotonic()
        return answer

    def _failed(self, error: httpx2.HTTPError) -> Exception:
        reached = not isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        if (failure := _tls(error)) is not None:
            return NotDone(f"{self._url}: no trusted connection: {failure}")
        if isinstance(error, httpx2.TransportError):
            reason = _system(error) or str(error) or type(error).__name__
            what = "lost the connection" if reached else "cannot be reached"
            if reached and self._heard is None:
                self._heard = time.monotonic()  # it was there a moment ago: wait for it
            return Lost(f"{self._url} {what}: {reason}")
        return NotDone(f"{self._url}: {error}")

    def _check(self, method: str, path: str, answer: httpx2.Response) -> None:
        """Raise Lost or NotDone unless the call succeeded."""
        if answer.is_success:
            return
        if answer.is_redirect:
            target = answer.headers.get("location", "?")
            raise NotDone(
                f"{self._url} redirects to {target}; give the address that it leads to as --server",
                BAD_REQUEST,
            )
        said = f"{answer.status_code} {answer.reason_phrase}".strip()
        body = _json(answer.content)
        detail = body.get("detail") if isinstance(body, dict) else None
        if not isinstance(detail, str) or body.get("code") in NO_SUCH_ROUTE:
            if answer.status_code in AWAY:
                raise Lost(f"{self._url} is not available: {said}")
            raise self.stranger(method, path, said)
        if answer.status_code == httpx2.codes.UNAUTHORIZED:
            raise NotDone(f"{detail} Set IMAGEN_KEY, or give --key.", BAD_REQUEST)
        raise NotDone(self._sentence(body, detail), BAD_REQUEST)

    def _sentence(self, body: Mapping[str, Any], detail: str) -> str:
        """Why a call was refused, in the command line's own terms if it knows the reason."""
        params = {name: value for name, value in body.items() if name not in ("detail", "code")}
        if isinstance(field := params.get("field"), str):
            params["field"] = FIELDS.get(field, field)
        code = str(body.get("code"))
        try:
            sentence = self._say(code, **params)
        except (LookupError, TypeError, ValueError, AttributeError):
            return detail
        return detail if sentence == code else sentence


def _json(content: bytes | str) -> Any:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _tls(error: BaseException) -> str | None:
    """Why a TLS connection could not be made; None if that is not what went wrong."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return cause.reason or str(cause)
    return None


def _system(error: BaseException) -> str | None:
    """What the operating system said, such as `Connection refused`; None if nothing."""
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return cause.strerror
        if isinstance(cause, OSError) and cause.errno is not None:
            return os.strerror(cause.errno)  # asyncio has words of its own in its place
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what led to it."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):  # one for each address that was tried
            yield from _causes(error.exceptions[0])
        error = error.__cause__ or error.__context__
