"""benchmarks/waiting.py, with few jobs and a moment's watch."""

import pytest

from benchmarks.waiting import start_with

pytestmark = pytest.mark.long


def test_a_start_is_watched() -> None:
    held = start_with(jobs=20, seconds=0.5)
    assert held.ready_ms > 0
    assert held.late_ms > 0
