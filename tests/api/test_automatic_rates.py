"""A call to enlarge an image counts towards the key's rate once, whatever becomes of it."""

import base64
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import httpx2
import pytest

from bot.api.app import application
from bot.api.callers import Callers
from bot.api.desk import Desk
from bot.api.languages import speaker_for
from bot.api.parts import Parts
from bot.health import Health
from bot.settings import Settings
from bot.store import ApiKey
from tests.api.test_automatic_enlarging import CATALOG
from tests.api.test_automatic_resampling import png
from tests.language import TEXTS

IMAGE = base64.b64encode(png(30, 20)).decode()
SHARP = {"image": IMAGE, "upscaler_1": "sharp"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"image": IMAGE, "upscaler_1": "R-ESRGAN 4x+"}, 400),
        ({"image": IMAGE, "upscaler_1": "Lanczos"}, 200),
        ({**SHARP, "image": "AAAA"}, 400),
        ({**SHARP, "gfpgan_visibility": 1}, 400),
        ({**SHARP, "upscaling_resize": 5}, 400),
        (SHARP, 500),  # it comes as far as the queue, which there is none of here
    ],
)
async def test_it_counts_once(tmp_path: Path, body: dict[str, Any], status: int) -> None:
    counted: list[ApiKey] = []

    class Counting(Callers):
        def count(self, caller: ApiKey) -> None:
            counted.append(caller)

    backend, callers = MagicMock(), Counting(MagicMock())

    async def of(_: object) -> ApiKey:
        return ApiKey("1", "ada", rate=6)

    callers.of = of  # type: ignore[method-assign, assignment]
    backend.catalog.current = CATALOG
    parts: Any = MagicMock(spec=Parts)
    parts.desk = Desk(backend, MagicMock(), MagicMock(), callers)
    parts.callers, parts.health, parts.inventory = callers, Health({}), None
    parts.speaker = partial(speaker_for, TEXTS)
    app = application(parts, TEXTS, Settings.model_validate({"IMAGEN_DATA_DIR": tmp_path}))
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost:8009") as client:
        answer = await client.post("/sdapi/v1/extra-single-image", json=body)
    assert (answer.status_code, len(counted)) == (status, 1)
