"""The body of an edit: a form with files, as most clients send it, or JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from bot.api.bodies import aside, strict_json
from bot.api.errors import WrongMediaType
from bot.api.openai.bodies import Edit
from bot.errors import InvalidRequest

FORM: Final = "multipart/form-data"
JSON: Final = "application/json"
FILES_MAX: Final = 4
FIELDS_MAX: Final = 64
FIELD_MAX: Final = 64 * 2**20
"""Bytes of a field that is no file: it may be an image as a data URL. The whole body is bounded."""
FILES: Final = ("image", "mask")
TRIED: Final = ("bytes", "str", "ImageRef")
LIST: Final = "[]"
MAYBE_EMPTY: Final = ("prompt", "negative_prompt")
LORA: Final = "loras[]"
"""Fields such as `loras[][name]`, as OpenAI's client writes a list of objects."""


async def edit_of(request: Request) -> Edit:
    """Raises InvalidRequest, RequestValidationError, or WrongMediaType."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        data = await request.body()
        fields = await aside(len(data), strict_json, data)
        if isinstance(fields, dict) and isinstance(fields.get("image"), str):
            fields["image"] = [fields["image"]]
    elif kind == FORM:
        async with request.form(
            max_files=FILES_MAX, max_fields=FIELDS_MAX, max_part_size=FIELD_MAX
        ) as form:
            fields = await _fields(form)
    else:
        raise WrongMediaType("api.media", value=kind[:80], allowed=(FORM, JSON))
    try:
        return Edit.model_validate(fields)
    except ValidationError as error:
        problems = [{**each, "loc": ("body", *_where(each["loc"]))} for each in error.errors()]
        raise RequestValidationError(problems, body=fields) from None


def _where(path: Sequence[int | str]) -> Iterator[int | str]:
    """The path to a value that is wrong, without which of a field's types pydantic tried."""
    yield from path[:1]
    yield from (part for part in path[1:] if part not in TRIED)


async def _fields(form: FormData) -> dict[str, Any]:
    """A form as the JSON that it stands for."""
    fields: dict[str, Any] = {}
    images: list[bytes | str] = []
    loras: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        plain = name.removesuffix(LIST)
        if isinstance(value, UploadFile):
            if plain not in FILES:
                raise InvalidRequest(name[:100], "api.openai.file", allowed=FILES)
            given: bytes | str = await value.read()
        elif value == "" and name not in MAYBE_EMPTY:
            continue  # forms send what was left empty
        else:
            given = value
        if plain == "image":
            images.append(given)
        elif name.startswith(LORA):
            loras.setdefault(name.removeprefix(LORA).strip("[]"), []).append(str(given))
        elif name in fields:
            raise InvalidRequest(name[:100], "api.body.twice")
        else:
            fields[name] = given
    if loras:
        fields["loras"] = _objects(loras)
    elif isinstance(text := fields.get("loras"), str):
        fields["loras"] = await aside(len(text), lambda: strict_json(text.encode()))
    return {**fields, "image": images}


def _objects(columns: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """[{"name": "a", "weight": "1"}, …] of {"name": ["a", …], "weight": ["1", …]}.

    Raises InvalidRequest if it is unclear which value belongs to which.
    """
    counts = {len(values) for values in columns.values()}
    if len(counts) > 1:
        raise InvalidRequest("loras", "api.openai.columns", value=json.dumps(columns)[:200])
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
