"""The adapter names of the tiny model, from its real networks."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.factories import TINY


@pytest.fixture(scope="session")
def known(models_dir: Path) -> dict[str, Any]:
    from diffusers import StableDiffusionXLPipeline

    from bot.engine.families import FAMILIES

    pipeline = StableDiffusionXLPipeline.from_pretrained(models_dir / TINY, local_files_only=True)
    parts = {part: getattr(pipeline, part) for part in ("unet", "text_encoder", "text_encoder_2")}
    return dict(FAMILIES["sdxl"].targets(parts))
