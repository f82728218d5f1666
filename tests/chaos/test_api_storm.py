"""The short form; `make chaos` is the long one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.api_storm import ApiPlan, api_storm
from tests.chaos.harness import ChaosHome
from tests.conftest import TALLY

pytestmark = pytest.mark.long


async def test_each_job_over_http_is_done_once(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    plan = ApiPlan(seed=1, callers=6, jobs=10, kills=3)
    tally = await api_storm(plan, ChaosHome(tmp_path / "home", tmp_path / "models"))
    record_property(TALLY, str(tally))
    assert tally.wrong == []
    assert tally.states == {"delivered": tally.asked}
    assert tally.done == tally.asked == 60
    assert tally.kills == 3
