"""The names of the demo model, from its real parts."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.factories import DEMO


@pytest.fixture(scope="session")
def known(models_dir: Path) -> dict[str, Any]:
    from diffusers import StableDiffusionXLPipeline

    from bot.engine.patches import targets

    pipeline = StableDiffusionXLPipeline.from_pretrained(models_dir / DEMO, local_files_only=True)
    return targets(
        {part: getattr(pipeline, part) for part in ("unet", "text_encoder", "text_encoder_2")}
    )
