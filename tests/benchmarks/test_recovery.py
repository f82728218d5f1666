"""benchmarks/recovery.py, with one kill of each kind."""

import pytest

from benchmarks.recovery import AGAIN, BESIDE, ENGINE, main, table
from tests.distributed.server import needed


@pytest.mark.long
def test_each_kind_is_killed_and_its_job_goes_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    needed()
    assert main(["--kills", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:5]
    assert [row.split(" | ")[0] for row in rows] == [f"| {n}" for n in (ENGINE, BESIDE, AGAIN)]


def test_the_table_has_the_median_and_the_longest() -> None:
    assert "| engine process | 9.0 s | 20.5 s |" in table({ENGINE: [8.0, 20.5, 9.0]})
