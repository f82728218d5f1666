"""OpenAI's interface for edits, with its own client and with JSON."""

import asyncio
import base64
import hashlib
import io
from typing import Any

import openai
import pytest
from PIL import Image

from bot.files.metadata import read_png
from tests.e2e.conftest import CANARY
from tests.e2e.openai.clients import SMALL, data_url, files_of, opened, picture
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


class TestEdits:
    async def test_a_file(self, server: Server, client: openai.AsyncOpenAI) -> None:
        extra = {
            "steps": 4,
            "seed": 7,
            "strength": 0.5,
            "loras": [{"name": "frost", "weight": 0.5}, {"name": "ember", "weight": 1}],
        }
        answer = await client.images.edit(
            image=picture(), prompt=CANARY, model="demo", extra_body=extra
        )
        upload = await server.client.post(
            "/images", content=picture(), headers={"Content-Type": "image/png"}
        )
        sha256 = upload.json()["sha256"]
        accepted = await server.generate(prompt=CANARY, image=sha256, **extra)
        [image] = (await server.done(accepted["job_id"]))["images"]
        assert hashlib.sha256(files_of(answer)[0]).hexdigest() == image["sha256"]
        for given in (
            {"images": [{"image_url": data_url(picture())}]},
            {"images": [{"file_id": sha256}]},
            {"image": base64.b64encode(picture()).decode()},
        ):
            body = {"prompt": CANARY, **extra, **given}
            got = (await server.client.post("/v1/images/edits", json=body)).json()
            assert got["data"][0]["b64_json"] == base64.b64encode(files_of(answer)[0]).decode()

    async def test_a_part_of_it(self, server: Server, client: openai.AsyncOpenAI) -> None:
        erased = Image.new("RGBA", (64, 64), "black")
        erased.paste((0, 0, 0, 0), (0, 0, 24, 64))
        mask = io.BytesIO()
        erased.save(mask, "PNG")
        files: dict[str, Any] = {"image": picture((64, 64)), "mask": mask.getvalue()}
        extra = {"steps": 4, "seed": 7}
        answer = await client.images.edit(
            **files, prompt=CANARY, input_fidelity="high", size="64x64", extra_body=extra
        )
        [data] = files_of(answer)
        with opened(data) as painted:
            assert painted.getpixel((10, 32)) != (255, 255, 0)
            assert painted.crop((40, 0, 64, 64)).getcolors() == [(24 * 64, (255, 255, 0))]
        body = {name: base64.b64encode(file).decode() for name, file in files.items()}
        accepted = await server.generate(prompt=CANARY, size="64x64", **extra, **body)
        [image] = (await server.done(accepted["job_id"]))["images"]
        assert hashlib.sha256(data).hexdigest() == image["sha256"]
        as_json = {"images": [{"image_url": data_url(files["image"])}], "prompt": CANARY}
        masked = {"mask": {"image_url": data_url(files["mask"])}, "size": "64x64", **extra}
        got = (await server.client.post("/v1/images/edits", json={**as_json, **masked})).json()
        assert base64.b64decode(got["data"][0]["b64_json"]) == data

    async def test_it_is_extended(self, client: openai.AsyncOpenAI) -> None:
        extra = {"steps": 2, "extend": "left"}
        answer = await client.images.edit(image=picture((64, 64)), prompt=CANARY, extra_body=extra)
        with opened(files_of(answer)[0]) as painted:
            assert painted.size == (96, 64)
            assert painted.crop((48, 0, 96, 64)).getcolors() == [(48 * 64, (255, 255, 0))]

    async def test_fidelity_is_a_strength(self, client: openai.AsyncOpenAI) -> None:
        answers = [
            files_of(await client.images.edit(image=[picture(kind="JPEG")], prompt=CANARY, **given))
            for given in (
                {"input_fidelity": "high", "extra_body": {"steps": 10, "seed": 7}},
                {"extra_body": {"steps": 10, "seed": 7, "strength": 0.4}},
                {"input_fidelity": "low", "extra_body": {"steps": 10, "seed": 7}},
            )
        ]
        assert read_png(answers[0][0]) == read_png(answers[1][0])
        assert answers[0] == answers[1] != answers[2]

    async def test_the_synchronous_client(self, sync_client: openai.OpenAI) -> None:
        answer = await asyncio.to_thread(
            lambda: sync_client.images.edit(image=picture(), size="64x64", **SMALL)
        )
        [data] = files_of(answer)
        assert opened(data).size == (64, 64)

    @pytest.mark.parametrize(
        ("given", "param", "said"),
        [
            ({"mask": picture((64, 64))}, "mask", "the same shape as the image"),
            ({"mask": picture(), "image": [picture(), picture()]}, "image", "one image, not 2"),
            ({"extra_body": {"extend": "sideways"}}, "extend", "`zoom 1.5`"),
            ({"image": [picture(), picture()]}, "image", "one image, not 2"),
            ({"markup": picture()}, "markup", "no file called markup"),
            ({"image": b"nothing"}, "image", "can't read that"),
            ({"extra_body": {"foo": "1"}}, "foo", "no field called foo"),
            (
                {"extra_body": {"loras": [{"name": "frost"}, {"name": "ember", "weight": 1}]}},
                "loras",
                "belong together",
            ),
        ],
    )
    async def test_what_does_not_work_is_named(
        self, client: openai.AsyncOpenAI, given: dict[str, Any], param: str, said: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.images.edit(**{"image": picture(), "prompt": CANARY, **given})
        assert (caught.value.param, said in caught.value.message) == (param, True)

    @pytest.mark.parametrize(
        ("given", "param"),
        [
            ({"images": [{"image_url": "http://127.0.0.1/secret"}]}, "images"),
            ({"images": [{"file_id": "file-abc"}]}, "images"),
            ({"images": [{}]}, "images"),
            ({}, "image"),
            ({"image": ["?"]}, "image"),
            ({"image": 3}, "image"),
            ({"mask": {}, "images": [{"file_id": "0" * 64}]}, "mask"),
            ({"mask": 3, "images": [{"file_id": "0" * 64}]}, "mask"),
        ],
    )
    async def test_json_that_does_not_work_is_named(
        self, server: Server, given: dict[str, Any], param: str
    ) -> None:
        answer = await server.client.post("/v1/images/edits", json={"prompt": CANARY, **given})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
