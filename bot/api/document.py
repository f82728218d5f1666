"""The OpenAPI document: what FastAPI reads from the routes, and what it cannot know."""

from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

DESCRIPTION: Final = """\
Ask for images with `POST /generate`, for a comparison with `POST /compare` or for a larger image
with `POST /upscale`, follow the job, and fetch what it made.

Without any key, only programs on the same machine are served. Once there is one, every call but
`GET /healthz` needs it: as a bearer token, in the header `X-API-Key`, or as the password of HTTP
Basic.

Errors have `detail`, a sentence in the language of `Accept-Language` (English, French, German), and
a `code` that stays the same.
"""
WORKERS: Final = "workers"
"""The tag of what is only there where there are workers."""
TAGS: Final = {
    "original": "Generating images, and what there is to choose from.",
    "records": "All there is to know about a job and about the catalog.",
    "OpenAI": "OpenAI's interface for images, for its clients.",
    "automatic1111": "AUTOMATIC1111's interface, for its clients.",
    WORKERS: "Model files for workers on other machines.",
}
KEYS: Final[dict[str, dict[str, str]]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "A key, as a bearer token."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "A key."},
    "basic": {"type": "http", "scheme": "basic", "description": "Any user; the key as password."},
}
OPEN: Final = ("/healthz",)
"""Paths that need no key."""
PARAMETERS: Final[dict[str, dict[str, Any]]] = {
    "job_id": {"description": "As the call that asked for it answered.", "example": "k3v9m2xqpa"},
    "n": {"description": "Which of the job's images, as in their `url`s.", "example": 1},
}
"""What path parameters mean that many routes have."""


def documented(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """What `app.openapi` is to be: the document, made once."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    return openapi


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title=app.title,
        version=app.version,
        summary=app.summary,
        description=DESCRIPTION,
        routes=app.routes,
    )
    used = {tag for _, operation in _operations(document) for tag in operation.get("tags", ())}
    document["tags"] = [
        {"name": name, "description": text} for name, text in TAGS.items() if name in used
    ]
    document.setdefault("components", {})["securitySchemes"] = KEYS
    document["security"] = [{}, *({name: []} for name in KEYS)]
    for path, operation in _operations(document):
        if path in OPEN:
            operation["security"] = []
        for parameter in operation.get("parameters", ()):
            for name, value in PARAMETERS.get(parameter["name"], {}).items():
                parameter.setdefault(name, value)
        _as_answered(operation)
    return document


def _as_answered(operation: dict[str, Any]) -> None:
    """FastAPI believes that its own answer is given where a parameter has the wrong form."""
    answer = operation["responses"].get("422", {})
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    if not schema.get("$ref", "").endswith("/HTTPValidationError"):
        return
    answers = operation["responses"]
    del answers["422"]
    if "401" in answers:  # of the same form
        answers.setdefault("400", {**answers["401"], "description": HTTPStatus(400).phrase})


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield path, operation
