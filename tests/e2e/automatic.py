"""Calling AUTOMATIC1111's interface, plainly and through `webuiapi`."""

import asyncio
import base64
from typing import Any

import webuiapi

from tests.e2e.conftest import CANARY
from tests.e2e.server import Server

QUICK: dict[str, Any] = {"prompt": CANARY, "steps": 2, "width": 64, "height": 64}


async def called(method: Any, *arguments: Any, **fields: Any) -> Any:
    """`webuiapi` blocks."""
    return await asyncio.to_thread(method, *arguments, **fields)


def sent(result: Any) -> list[bytes]:
    """The files of a result."""
    return [base64.b64decode(image) for image in result.json["images"]]


async def told(server: Server, method: str, address: str, **options: Any) -> tuple[int, Any]:
    answer = await server.client.request(method, f"/sdapi/v1/{address}", **options)
    return answer.status_code, answer.json()


async def until_running(api: webuiapi.WebUIApi) -> dict[str, Any]:
    """The first progress that has a step."""
    while True:
        progress = dict(await called(api.get_progress))
        if progress["state"]["sampling_step"]:
            return progress
