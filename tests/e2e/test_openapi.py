"""The OpenAPI document describes every route of the original interface, with examples."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.home import Home
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

OURS = ("original", "records")
"""Tags. Other interfaces are described by those who made them."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def document(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Any]:
    async with Server(Home(tmp_path_factory.mktemp("openapi"), models_dir)) as server:
        yield (await server.client.get("/openapi.json")).json()


def operations(document: Any) -> Iterator[tuple[str, Any]]:
    for path, calls in document["paths"].items():
        for method, operation in calls.items():
            if set(operation["tags"]) & set(OURS):
                yield f"{method.upper()} {path}", operation


def resolved(document: Any, schema: Any) -> Any:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def shown(document: Any, content: Any) -> bool:
    """Whether a body has an example: of its own, or one for each field."""
    if "example" in content or "examples" in content:
        return True
    schema = resolved(document, content.get("schema", {}))
    if "examples" in schema:
        return True
    return bool(schema.get("properties")) and all(
        told(document, field) for field in schema["properties"].values()
    )


def told(document: Any, field: Any) -> bool:
    """Whether a reader learns what stands in a field."""
    if {"examples", "description", "const", "enum"} & field.keys():
        return True
    parts = [field.get("items"), *field.get("anyOf", ())]
    known = [resolved(document, part) for part in parts if part]
    return any("properties" in part for part in known)


async def test_every_route_is_described(document: Any) -> None:
    found = dict(operations(document))
    assert len(found) >= 15
    ids = [operation["operationId"] for operation in found.values()]
    assert len(ids) == len(set(ids))
    missing = []
    for name, operation in found.items():
        missing += [] if operation.get("description") else [f"{name}: no description"]
        for parameter in operation.get("parameters", ()):
            if not parameter.get("description"):
                missing.append(f"{name}: {parameter['name']}")
        bodies = {"request": operation.get("requestBody"), **operation["responses"]}
        for status, body in bodies.items():
            if body is None:
                continue
            if status != "request" and not body["description"]:
                missing.append(f"{name}: {status} has no description")
            for kind, content in body.get("content", {}).items():
                if not kind.startswith("image/") and not shown(document, content):
                    missing.append(f"{name}: {status} has no example")
    assert missing == []


async def test_every_interface_says_what_it_is_for(document: Any) -> None:
    used = {
        tag
        for calls in document["paths"].values()
        for operation in calls.values()
        for tag in operation["tags"]
    }
    assert used == {tag["name"] for tag in document["tags"] if tag["description"]}


async def test_answers_of_every_interface_have_an_example(document: Any) -> None:
    missing = [
        f"{method.upper()} {path}"
        for path, calls in document["paths"].items()
        for method, operation in calls.items()
        for status, body in operation["responses"].items()
        if status == "200"
        for kind, content in body.get("content", {}).items()
        # An answer without a schema is null, which cannot be given as an example.
        if kind == "application/json" and content["schema"] and not shown(document, content)
    ]
    assert missing == []


async def test_every_field_is_described(document: Any) -> None:
    missing = [
        f"{name}.{field}"
        for name, schema in document["components"]["schemas"].items()
        if name in ("Generate", "Lora", "Queued", "Status", "Uploaded", "Problem", "Record", "Told")
        for field, described in schema.get("properties", {}).items()
        if not told(document, described)
    ]
    assert missing == []


async def test_errors_are_those_that_are_answered(document: Any) -> None:
    for name, operation in operations(document):
        for status, body in operation["responses"].items():
            if status.startswith(("4", "5")) and status not in ("416", "503"):
                [content] = body["content"].values()
                assert content["schema"]["$ref"].endswith("/Problem"), (name, status)
    assert "HTTPValidationError" not in str(document["paths"])


async def test_a_key_is_asked_for_where_one_may_be_needed(document: Any) -> None:
    assert {name for each in document["security"] for name in each} == {
        *document["components"]["securitySchemes"]
    }
    assert document["paths"]["/healthz"]["get"]["security"] == []
