from dataclasses import replace
from pathlib import Path

import pytest

from catalog.families import Family
from catalog.families.sdxl import SDXL
from tests.catalog.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def other_family() -> Family:
    """A family that is not SDXL."""
    return replace(SDXL, key="other", name="Other", adapter_bases=("SD 1.5",))
