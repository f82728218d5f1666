"""The tiny SD 1.5 model in plain diffusers."""

from pathlib import Path
from typing import Any

import pytest

from tests.engine.families.sd15.factories import TINY, plain_pipeline


@pytest.fixture(scope="module")
def plain(sd15_dir: Path) -> Any:
    return plain_pipeline(sd15_dir / TINY)
