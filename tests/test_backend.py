"""The parts together: what the backend keeps, and what it cleans up."""

import io
import os
from pathlib import Path

from PIL import Image

from bot.backend import Backend
from bot.files.inputs import FORGET_AFTER
from bot.request import InitImage, Reference
from bot.settings import Settings
from tests.store.factories import new_job, request


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


async def test_pictures_are_kept_for_as_long_as_a_job_refers_to_them(tmp_path: Path) -> None:
    settings = Settings(IMAGEN_DATA_DIR=tmp_path, _env_file=None)
    async with Backend.open(settings) as backend:
        over, guide, forgotten = [await backend.inputs.keep(picture(n)) for n in range(3)]
        await backend.store.accept(
            new_job(
                request=request(init_image=InitImage(over, 0.6), reference=Reference(guide, 0.6))
            )
        )
        paths = [backend.inputs.path(sha256) for sha256 in (over, guide, forgotten)]
        assert [path.parent for path in paths] == [tmp_path / "inputs"] * 3
        for path in paths:
            aged = path.stat().st_mtime - FORGET_AFTER - 60
            os.utime(path, (aged, aged))
        await backend.tidy()
        assert [path.exists() for path in paths] == [True, True, False]
