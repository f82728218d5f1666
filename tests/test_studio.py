"""The parts together: what the studio keeps, and what it clears away."""

import io
import os
from pathlib import Path

from PIL import Image

from bot.files.inputs import FORGET_AFTER
from bot.request import InitImage, Reference
from bot.settings import Settings
from bot.studio import Studio
from tests.store.factories import new_job, request


def picture(shade: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(buffer, "PNG")
    return buffer.getvalue()


async def test_pictures_are_kept_for_as_long_as_a_job_refers_to_them(tmp_path: Path) -> None:
    settings = Settings(IMAGEN_DATA_DIR=tmp_path, _env_file=None)
    async with Studio.open(settings) as studio:
        over, guide, forgotten = [await studio.inputs.keep(picture(n)) for n in range(3)]
        await studio.store.accept(
            new_job(
                request=request(init_image=InitImage(over, 0.6), reference=Reference(guide, 0.6))
            )
        )
        paths = [studio.inputs.path(sha256) for sha256 in (over, guide, forgotten)]
        assert [path.parent for path in paths] == [tmp_path / "inputs"] * 3
        for path in paths:
            aged = path.stat().st_mtime - FORGET_AFTER - 60
            os.utime(path, (aged, aged))
        await studio.tidy()
        assert [path.exists() for path in paths] == [True, True, False]
