"""Streams of OpenAI's interface, and callers who hang up."""

import asyncio
import base64

import openai
import pytest
from openai.types import ImageGenPartialImageEvent

from tests.e2e.conftest import CANARY
from tests.e2e.openai.clients import SMALL, files_of, opened, picture
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


class TestStreams:
    async def test_partial_images_and_the_whole_one(self, client: openai.AsyncOpenAI) -> None:
        stream = await client.images.generate(
            prompt=CANARY,
            size="256x256",
            stream=True,
            partial_images=2,
            extra_body={"steps": 60, "seed": 9},
        )
        events = [event async for event in stream]
        *partials, last = events
        assert [event.type for event in partials] == ["image_generation.partial_image"] * 2
        indexes = []
        for event in partials:
            assert isinstance(event, ImageGenPartialImageEvent)
            indexes.append(event.partial_image_index)
            image = opened(base64.b64decode(event.b64_json))
            assert (image.format, event.output_format) == ("PNG", "png")
            assert event.size == f"{image.width}x{image.height}"
        assert indexes == [0, 1]
        assert last.type == "image_generation.completed"
        assert (last.size, last.usage.total_tokens) == ("256x256", 0)
        whole = await client.images.generate(
            prompt=CANARY, size="256x256", extra_body={"steps": 60, "seed": 9}
        )
        assert [base64.b64decode(last.b64_json)] == files_of(whole)

    async def test_the_synchronous_client(self, sync_client: openai.OpenAI) -> None:

        def events() -> list[str]:
            return [event.type for event in sync_client.images.generate(stream=True, n=2, **SMALL)]

        assert await asyncio.to_thread(events) == ["image_generation.completed"] * 2

    async def test_an_edit(self, client: openai.AsyncOpenAI) -> None:
        stream = await client.images.edit(image=picture(), stream=True, **SMALL)
        assert [event.type async for event in stream] == ["image_edit.completed"]

    async def test_the_bytes_are_those_of_openai(self, server: Server) -> None:
        body = {"prompt": CANARY, "steps": 2, "stream": True}
        answer = await server.client.post("/v1/images/generations", json=body)
        assert answer.headers["content-type"].startswith("text/event-stream")
        name, data, *rest = answer.text.split("\n")
        assert name == "event: image_generation.completed"
        assert data.startswith('data: {"type": "image_generation.completed", ')
        assert rest == ["", ""]

    async def test_a_job_that_is_cancelled(
        self, server: Server, client: openai.AsyncOpenAI
    ) -> None:
        stream = await client.images.generate(
            prompt=CANARY,
            size="512x512",
            stream=True,
            partial_images=3,
            extra_body={"steps": 100, "seed": 1001},
        )
        first = await anext(aiter(stream))
        assert first.type == "image_generation.partial_image"
        await server.client.delete(f"/jobs/{_newest(server)}")
        with pytest.raises(openai.APIError) as caught:
            async for _ in stream:
                pass
        assert caught.value.code == "job_cancelled"


def _newest(server: Server) -> str:
    """The id of the job that was accepted last."""
    [(job_id,)] = server.home.rows("SELECT id FROM jobs ORDER BY created_at DESC LIMIT 1")
    return str(job_id)
