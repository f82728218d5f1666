"""OpenAI's own client, unmodified, for the tests of its interface."""

import base64
import io
from typing import Any

import openai
from openai.types import ImagesResponse
from PIL import Image

from tests.e2e.conftest import CANARY
from tests.e2e.server import Server

SMALL: Any = {"prompt": CANARY, "extra_body": {"steps": 2}}
"""Arguments for an image that is quick to make."""


def client_of(server: Server, key: str = "sk-none", **options: Any) -> openai.AsyncOpenAI:
    """A client that does not retry, unless `options` say so."""
    options = {"max_retries": 0, **options}
    return openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=key, **options)


def files_of(answer: ImagesResponse) -> list[bytes]:
    assert answer.data is not None
    return [base64.b64decode(image.b64_json or "") for image in answer.data]


def picture(size: tuple[int, int] = (80, 64), kind: str = "PNG") -> bytes:
    """An image to edit."""
    buffer = io.BytesIO()
    Image.new("RGB", size, "yellow").save(buffer, kind)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def data_url(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"
