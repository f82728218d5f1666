"""The tiny models of the families, beside those of SDXL."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sd15_dir(models_dir: Path) -> Path:
    """`models_dir` with `sd15` and `sd15-other`, of one shape with other weights."""
    from tests.engine.families.sd15 import tiny_model

    tiny_model.build(models_dir / "sd15")
    tiny_model.build(models_dir / "sd15-other", seed=7)
    return models_dir
