"""Validates both sides of the wire against Discord's own OpenAPI description.

The file is published at https://github.com/discord/discord-api-spec (``specs/openapi.json``).
It is searched for at ``$DISCORD_OPENAPI``, in the repository root, and in the folder
``shared/discord`` next to the repository. Without it these checks are skipped, and ``reason``
says so; all other checks still run.
"""

import copy
import functools
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playground.errors import Problem

JsonObject = dict[str, Any]
ROOT = "urn:discord"

# jsonschema keyword -> Discord's error code.
CODES = {
    "maxLength": "BASE_TYPE_MAX_LENGTH",
    "minLength": "BASE_TYPE_MIN_LENGTH",
    "maxItems": "BASE_TYPE_MAX_LENGTH",
    "minItems": "BASE_TYPE_MIN_LENGTH",
    "maximum": "NUMBER_TYPE_MAX",
    "minimum": "NUMBER_TYPE_MIN",
    "required": "BASE_TYPE_REQUIRED",
    "enum": "BASE_TYPE_CHOICES",
    "type": "BASE_TYPE_BAD_TYPE",
}


def find() -> tuple[Path | None, str | None]:
    """The path of the description, or None and the reason."""
    named = os.environ.get("DISCORD_OPENAPI")
    if named:
        path = Path(named)
        if path.is_file():
            return path, None
        return None, f"DISCORD_OPENAPI names {named!r}, which is not a file"
    root = Path(__file__).resolve().parent.parent
    places = [root / "openapi.json", root.parent / "shared" / "discord" / "openapi.json"]
    for path in places:
        if path.is_file():
            return path, None
    looked = ", ".join(str(path) for path in places)
    return None, f"Discord's OpenAPI file is in none of: $DISCORD_OPENAPI, {looked}"


def reason() -> str | None:
    """Why bodies are not checked against the description; None if they are."""
    return find()[1]


def deepest(error: Any) -> Any:
    """The error from the branch of an anyOf or oneOf that was most likely intended.

    ``best_match`` would say "2 is not one of [10]": it cannot know that ``type`` is the tag.
    """
    while error.context:
        branches: dict[Any, list[Any]] = {}
        for inner in error.context:
            branches.setdefault(inner.schema_path[0], []).append(inner)
        meant = [
            errors
            for errors in branches.values()
            if not any(
                list(e.path)[-1:] == ["type"] and e.validator in ("enum", "const") for e in errors
            )
            and not any(e.validator == "type" and not e.path for e in errors)
        ]
        pool = meant or list(branches.values())
        error = max((e for errors in pool for e in errors), key=lambda e: len(e.absolute_path))
    return error


class OpenApi:
    """The loaded description; ``available`` is False if there is none."""

    def __init__(self, path: Path | None, why: str | None = None) -> None:
        self.reason = why
        self.available = path is not None
        self._validators: dict[tuple[str, str, str], Any] = {}
        self._routes: list[tuple[re.Pattern[str], str]] = []
        if path is None:
            return
        import jsonschema
        import referencing
        import referencing.jsonschema

        self._validator = jsonschema.Draft202012Validator
        self._answers: JsonObject = json.loads(path.read_text(encoding="utf-8"))
        self._requests: JsonObject = copy.deepcopy(self._answers)
        # Described as numbers, but documented and sent as strings:
        # https://docs.discord.com/developers/reference#error-messages.
        self._answers["components"]["schemas"]["InnerErrors"]["properties"]["_errors"]["items"] = {
            "type": "object",
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            "required": ["code", "message"],
        }
        # Documented as "snowflake or number", and discord.py sends numbers.
        self._requests["components"]["schemas"]["SnowflakeType"] = {"type": ["string", "integer"]}

        def registry(document: JsonObject) -> Any:
            resource = referencing.jsonschema.DRAFT202012.create_resource(document)
            return referencing.Registry().with_resource(ROOT, resource).crawl()

        self._registries = {
            "request": registry(self._requests),
            "answer": registry(self._answers),
        }
        # Fixed segments before variables: /messages/@original is not a message id.
        for template in sorted(self._answers["paths"], key=lambda p: (p.count("{"), -len(p))):
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
            self._routes.append((re.compile(pattern + r"\Z"), template))

    def operation(self, method: str, path: str) -> tuple[str, JsonObject] | None:
        """The path template and description of the operation (path without /api/v10)."""
        for pattern, template in self._routes:
            if pattern.match(path):
                found = self._answers["paths"][template].get(method.lower())
                return (template, found) if found else None
        return None

    def _errors(self, side: str, pointer: str, body: object) -> Iterator[Any]:
        key = (side, pointer, "")
        validator = self._validators.get(key)
        if validator is None:
            validator = self._validator(
                {"$ref": f"{ROOT}#{pointer}"}, registry=self._registries[side]
            )
            self._validators[key] = validator
        yield from validator.iter_errors(body)

    @staticmethod
    def _pointer(template: str, method: str, *rest: str) -> str:
        parts = ["paths", template, method.lower(), *rest]
        return "/" + "/".join(p.replace("~", "~0").replace("/", "~1") for p in parts)

    def check_request(self, method: str, path: str, body: object) -> list[Problem]:
        """The problems with the JSON body from the bot (for multipart, its payload_json)."""
        found = self.operation(method, path) if self.available else None
        if found is None:
            return []
        template, operation = found
        content = operation.get("requestBody", {}).get("content", {})
        if "application/json" not in content or body is None:
            return []
        content_pointer = ("requestBody", "content", "application/json", "schema")
        pointer = self._pointer(template, method, *content_pointer)
        return [self._problem(deepest(e)) for e in self._errors("request", pointer, body)]

    def check_answer(self, method: str, path: str, status: int, body: object) -> list[str]:
        """The problems with the playground's own response, as messages."""
        found = self.operation(method, path) if self.available else None
        if found is None:
            return []
        template, operation = found
        responses = operation["responses"]
        if status == 429:
            errors = self._errors("answer", "/components/schemas/RatelimitedResponse", body)
        elif status >= 400:
            errors = self._errors("answer", "/components/schemas/ErrorResponse", body)
        elif str(status) not in responses:
            return [f"status {status} is not described; described: {', '.join(responses)}"]
        elif "content" not in responses[str(status)]:
            return [] if body is None else [f"status {status} must have no body, but one was sent"]
        else:
            content_pointer = ("responses", str(status), "content", "application/json", "schema")
            errors = self._errors("answer", self._pointer(template, method, *content_pointer), body)
        return [str(self._problem(deepest(e))) for e in errors]

    @staticmethod
    def _problem(error: Any) -> Problem:
        path = tuple(error.absolute_path)
        message = str(error.message)
        if error.validator == "required":
            missing = [name for name in error.validator_value if name not in error.instance]
            path, message = (*path, missing[0]), "This field is required"
        elif len(message) > 300:
            message = message[:140] + " … " + message[-140:]
        return Problem(path, CODES.get(error.validator, "BASE_TYPE_BAD_VALUE"), message)


@functools.lru_cache(maxsize=2)
def _load(path: Path | None, why: str | None) -> OpenApi:
    return OpenApi(path, why)


def load() -> OpenApi:
    """The description, read once per process (0.5 s)."""
    return _load(*find())
