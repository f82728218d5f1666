"""OpenAI's interface, with its own client, unmodified, against the real process."""

import asyncio
import hashlib
from typing import Any

import openai
import pytest

from bot.files.metadata import read_png
from tests.e2e.conftest import CANARY
from tests.e2e.openai.clients import SMALL, files_of, opened
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


class TestGenerations:
    async def test_the_same_seed_gives_the_same_bytes_as_generate(
        self, server: Server, client: openai.AsyncOpenAI
    ) -> None:
        extra = {
            "negative_prompt": "noise",
            "loras": [{"name": "frost", "weight": 0.5}, {"name": "ember"}],
            "steps": 10,
            "guidance_scale": 8.5,
            "seed": 42,
            "scheduler": "Euler",
        }
        answer = await client.images.generate(
            prompt=CANARY, model="demo", n=2, size="64x80", extra_body=extra
        )
        accepted = await server.generate(
            prompt=CANARY, model="demo", count=2, size="64x80", **extra
        )
        status = await server.done(accepted["job_id"])
        hashes = [hashlib.sha256(data).hexdigest() for data in files_of(answer)]
        assert hashes == [image["sha256"] for image in status["images"]]
        assert (answer.size, answer.output_format, answer.background) == ("64x80", "png", "opaque")
        assert answer.created > 1_600_000_000
        assert answer.usage is not None
        assert answer.usage.total_tokens == 0
        assert answer.data is not None
        assert [image.seed for image in answer.data] == [42, 43]  # type: ignore[attr-defined]
        assert "glowing embers" in str(answer.data[0].revised_prompt)

    async def test_the_synchronous_client(self, sync_client: openai.OpenAI) -> None:
        [data] = files_of(await asyncio.to_thread(lambda: sync_client.images.generate(**SMALL)))
        assert opened(data).size == (64, 64)

    async def test_models_of_openai_stand_for_the_default(self, client: openai.AsyncOpenAI) -> None:
        answer = await client.images.generate(model="gpt-image-1", **SMALL)
        assert answer.model == "demo"
        [warning] = answer.warnings
        assert "gpt-image-1" in warning
        assert "demo" in warning
        extra: Any = {"steps": 10}
        other = await client.images.generate(prompt=CANARY, model="second", extra_body=extra)
        assert (other.model, other.warnings) == ("second", [])  # type: ignore[attr-defined]

    @pytest.mark.parametrize(
        ("asked", "size"),
        [("auto", (64, 64)), ("256x128", (256, 128)), ("1:1", (64, 64)), (None, (64, 64))],
    )
    async def test_sizes(
        self, client: openai.AsyncOpenAI, asked: str | None, size: tuple[int, int]
    ) -> None:
        [data] = files_of(await client.images.generate(size=asked, **SMALL))
        assert opened(data).size == size

    async def test_a_size_of_openai_becomes_the_models_own(
        self, client: openai.AsyncOpenAI
    ) -> None:
        answer = await client.images.generate(size="1792x1024", **SMALL)
        width, height = opened(files_of(answer)[0]).size
        assert (answer.size, width, height) == ("88x64", 88, 64)
        assert "1792x1024" in answer.warnings[0]

    @pytest.mark.parametrize(
        ("quality", "model", "steps", "named"),
        [
            ("auto", "demo", 4, "medium"),
            ("standard", "demo", 4, "medium"),
            ("medium", "bright", 20, "medium"),
            ("low", "bright", 10, "low"),
            ("high", "bright", 30, "high"),
            ("hd", "demo", 6, "high"),
            ("max", "demo", 8, "max"),
        ],
    )
    async def test_quality(
        self, client: openai.AsyncOpenAI, quality: Any, model: str, steps: int, named: str
    ) -> None:
        answer = await client.images.generate(prompt=CANARY, quality=quality, model=model)
        assert answer.quality == named
        recipe = read_png(files_of(answer)[0]).recipe
        assert recipe is not None
        assert recipe.request.steps == steps

    async def test_formats(self, client: openai.AsyncOpenAI) -> None:
        tables = []
        for compression in (100, 5):
            answer = await client.images.generate(
                output_format="jpeg", output_compression=compression, **SMALL
            )
            image = opened(files_of(answer)[0])
            assert (image.format, answer.output_format) == ("JPEG", "jpeg")
            tables.append(image.quantization)  # type: ignore[attr-defined]
        assert set(tables[0][0]) == {1}  # the least that a JPEG can lose
        assert min(tables[1][0]) > 1
        [data] = files_of(await client.images.generate(output_format="webp", **SMALL))
        assert opened(data).format == "WEBP"

    async def test_what_has_no_effect_is_accepted(self, client: openai.AsyncOpenAI) -> None:
        await client.images.generate(
            moderation="low", user="me", safety_identifier="x", style="vivid", **SMALL
        )

    async def test_a_call_repeated_gets_the_same_images(self, client: openai.AsyncOpenAI) -> None:
        headers = {"Idempotency-Key": "again"}
        answers = await asyncio.gather(
            *(client.images.generate(extra_headers=headers, **SMALL) for _ in range(3))
        )
        assert len({answer.job_id for answer in answers}) == 1
        assert len({files_of(answer)[0] for answer in answers}) == 1
        with pytest.raises(openai.UnprocessableEntityError):
            await client.images.generate(prompt=CANARY, extra_headers=headers)


class TestModels:
    async def test_the_list_and_one(self, client: openai.AsyncOpenAI) -> None:
        listed = [model async for model in client.models.list()]
        names = [model.id for model in listed]
        assert names[0] == "demo"
        assert "pony-xl-v6" not in names  # disabled
        one = await client.models.retrieve("second")
        assert (one.id, one.object, one.owned_by) == ("second", "model", "imagen")
        assert (await client.models.retrieve("dall-e-3")).id == "dall-e-3"
        for missing in ("nope", "pony-xl-v6", "a/b"):
            with pytest.raises(openai.NotFoundError) as caught:
                await client.models.retrieve(missing)
            assert caught.value.code == "model_not_found"
