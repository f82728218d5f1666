"""Links to images, which OpenAI's clients fetch without a key."""

from typing import Any

import openai
import pytest

from tests.e2e.conftest import CANARY
from tests.e2e.home import Home, call
from tests.e2e.openai.clients import SMALL, client_of, files_of
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


class TestLinks:
    async def test_a_link_needs_no_key_and_cannot_be_changed(self, home: Home) -> None:
        key, other = [(await call(home, "keys", "add", name))[1].strip() for name in ("a", "b")]
        async with Server(home) as server, client_of(server, key) as client:
            extra: Any = {"prompt": CANARY, "extra_body": {"steps": 2, "seed": 3}}
            [data] = files_of(await client.images.generate(**extra))
            answer = await client.images.generate(response_format="url", **extra)
            assert answer.data is not None
            url = answer.data[0].url
            assert url is not None
            assert url.startswith(f"{server.url}/v1/images/files/")
            got = await server.client.get(url)
            assert (got.content, got.headers["content-type"]) == (data, "image/png")
            # Open WebUI sends its key to the link as well.
            with_key = await server.client.get(url, headers={"Authorization": f"Bearer {other}"})
            assert with_key.content == data
            proxied = await client.images.generate(
                response_format="url",
                extra_headers={
                    "X-Forwarded-Proto": "https",
                    "X-Forwarded-Host": "images.example.org",
                },
                **extra,
            )
            assert proxied.data is not None
            there = str(proxied.data[0].url)
            assert there.startswith("https://images.example.org/v1/images/files/")
            head = await server.client.head(url)
            assert (head.status_code, head.content) == (200, b"")
            for changed in (
                url.replace("/1.png", "/1.jpeg"),
                url.replace("expires=", "expires=9"),
                url.replace("compression=100", "compression=99"),
                url[:-1] + ("0" if url[-1] != "0" else "1"),
                url.replace("signature=", "signature=%C3%A9"),
            ):
                refused = await server.client.get(changed)
                assert refused.status_code == 403
                assert refused.json()["error"]["code"] == "api.link"
            assert key not in server.log
            assert "signature" not in server.log
        async with Server(home) as again:  # the secret stays
            path = url.removeprefix(server.url)
            assert (await again.client.get(path)).content == data

    async def test_dall_e_has_links_by_default(self, client: openai.AsyncOpenAI) -> None:
        answer = await client.images.generate(model="dall-e-3", output_format="webp", **SMALL)
        assert answer.data is not None
        assert answer.data[0].b64_json is None
        assert "/1.webp?" in str(answer.data[0].url)
