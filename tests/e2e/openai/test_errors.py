"""Errors of OpenAI's interface, as its own client raises them."""

from typing import Any

import openai
import pytest

from tests.e2e.conftest import CANARY
from tests.e2e.home import Home, call
from tests.e2e.openai.clients import SMALL, client_of
from tests.e2e.server import Server

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]


class TestErrors:
    @pytest.mark.parametrize(
        ("given", "param", "code"),
        [
            ({"prompt": ""}, "prompt", "invalid_value"),
            ({"n": 5}, "n", "invalid_value"),
            ({"n": "many"}, "n", "invalid_type"),
            ({"size": "9x9"}, "size", "invalid_value"),
            ({"size": "large"}, "size", "invalid_value"),
            ({"quality": "best"}, "quality", "invalid_value"),
            ({"background": "transparent"}, "background", "invalid_value"),
            ({"output_format": "gif"}, "output_format", "invalid_value"),
            ({"output_compression": 50}, "output_compression", "invalid_value"),
            ({"partial_images": 4, "stream": True}, "partial_images", "invalid_value"),
            ({"partial_images": 1}, "partial_images", "invalid_value"),
            ({"response_format": "url", "stream": True}, "response_format", "invalid_value"),
            ({"extra_body": {"foo": 1}}, "foo", "unknown_parameter"),
            ({"extra_body": {"steps": 101}}, "steps", "invalid_value"),
            ({"extra_body": {"guidance_scale": 99}}, "guidance_scale", "invalid_value"),
            ({"extra_body": {"loras": [{"name": "nope"}]}}, "loras", "invalid_value"),
            (
                {"extra_body": {"loras": [{"weight": 1}]}},
                "loras.0.name",
                "missing_required_parameter",
            ),
        ],
    )
    async def test_a_wrong_value_is_named(
        self, client: openai.AsyncOpenAI, given: dict[str, Any], param: str, code: str
    ) -> None:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.images.generate(**{"prompt": CANARY, **given})
        error = caught.value
        assert (error.type, error.param, error.code) == ("invalid_request_error", param, code)

    async def test_a_model_that_is_not_there(self, client: openai.AsyncOpenAI) -> None:
        for model in ("pony-xl-v6", "gpt-4"):
            with pytest.raises(openai.NotFoundError) as caught:
                await client.images.generate(prompt=CANARY, model=model)
            assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
            assert model in caught.value.message

    @pytest.mark.parametrize(
        ("method", "path", "content", "kind", "status"),
        [
            ("POST", "/v1/images/generations", b"{", "application/json", 400),
            ("POST", "/v1/images/generations", b"{}", "text/plain", 415),
            ("POST", "/v1/images/edits", b"{}", "text/plain", 415),
            ("POST", "/v1/images/edits", b"x", "multipart/form-data; boundary=b", 400),
            ("POST", "/v1/images/edits", b"x", "multipart/form-data", 400),
            ("POST", "/v1/images/variations", b"", "application/json", 404),
            ("DELETE", "/v1/models", b"", "application/json", 405),
            ("POST", "/v1/images/generations", b" " * (65 * 2**20), "application/json", 413),
        ],
    )
    async def test_every_error_has_openais_form(
        self, server: Server, method: str, path: str, content: bytes, kind: str, status: int
    ) -> None:
        answer = await server.client.request(
            method, path, content=content, headers={"Content-Type": kind}
        )
        assert answer.status_code == status
        assert sorted(answer.json()) == ["error"]
        error = answer.json()["error"]
        assert sorted(error) == ["code", "message", "param", "type"]
        assert error["message"]

    async def test_before_a_route_is_looked_up_too(self, server: Server) -> None:
        answer = await server.client.get("/v1/models", headers={"Host": "evil.example"})
        assert (answer.status_code, sorted(answer.json())) == (403, ["error"])
        other = await server.client.get("/models", headers={"Host": "evil.example"})
        assert "detail" in other.json()

    async def test_keys_and_limits(self, home: Home) -> None:
        key = (await call(home, "keys", "add", "slow", "--rate", "1"))[1].strip()
        async with Server(home) as server:
            async with client_of(server, "sk-wrong") as wrong:
                with pytest.raises(openai.AuthenticationError) as refused:
                    await wrong.models.list()
                assert refused.value.code == "invalid_api_key"
            async with client_of(server, key) as client:
                await client.images.generate(**SMALL)
                with pytest.raises(openai.RateLimitError) as limited:
                    await client.images.generate(**SMALL)
                assert limited.value.code == "rate_limit_exceeded"
                assert int(limited.value.response.headers["retry-after"]) >= 1
                with pytest.raises(openai.NotFoundError):
                    await client.images.generate(prompt=CANARY, model="adults")
