"""Refusals: what a call that is not served is answered, in the form that its interface has."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from bot.api.errors import Answer


@dataclass(frozen=True, slots=True)
class Form:
    """How an interface says that it does not serve a call.

    prefix: of its paths. names: what it calls the fields whose name differs from `Draft`'s.
    body: the JSON; status: what is sent instead of the answer's own.
    """

    prefix: str
    names: Mapping[str, str]
    body: Callable[[Answer], Mapping[str, Any]]
    status: Callable[[Answer], int] = lambda answer: answer.status


class _Repeating(JSONResponse):
    """JSON that repeats what a caller sent, which may hold half a character (a lone surrogate)."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")


class Refusals:
    """Finds the form by the path, which is known even where there is no route for it."""

    def __init__(self, forms: Iterable[Form]) -> None:
        """forms: one of them with an empty prefix, for all other paths."""
        self._forms = sorted(forms, key=lambda form: len(form.prefix), reverse=True)

    def names(self, request: Request) -> Mapping[str, str]:
        return self._form(request).names

    def response(self, request: Request, answer: Answer) -> JSONResponse:
        form = self._form(request)
        return _Repeating(dict(form.body(answer)), form.status(answer), answer.headers)

    def _form(self, request: Request) -> Form:
        path = request.scope["path"]
        return next(form for form in self._forms if path.startswith(form.prefix))
