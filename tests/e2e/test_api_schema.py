"""The OpenAPI document, as a fuzzer reads it: nothing it allows or forbids is answered with 5xx."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.home import Home
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

EXAMPLES = 15
"""For each operation, and for each of right and wrong values."""
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def server(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[Server]:
    home = Home(tmp_path_factory.mktemp("schema"), models_dir)
    async with Server(home) as server:
        yield server
        assert "a call failed" not in server.log


@pytest.mark.parametrize(
    "mode",
    [
        GenerationMode.POSITIVE,
        pytest.param(GenerationMode.NEGATIVE, marks=pytest.mark.long),
    ],
)
async def test_what_the_document_says_is_so(server: Server, mode: GenerationMode) -> None:
    document = (await server.client.get("/openapi.json")).json()
    schema = schemathesis.openapi.from_dict(document)
    schema.config.update(base_url=server.url)
    tested = await asyncio.to_thread(_try_all, schema, mode)
    assert tested > 3


def _try_all(schema: Any, mode: GenerationMode) -> int:
    tested = 0
    for found in schema.get_all_operations():
        operation = found.ok()

        @seed(1)
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def answered(case: Any) -> None:
            case.call_and_validate(checks=CHECKS, timeout=60)

        try:
            answered()
        except (schemathesis.errors.SchemathesisError, Unsatisfiable):
            continue  # it takes nothing that could be wrong
        tested += 1
    return tested
