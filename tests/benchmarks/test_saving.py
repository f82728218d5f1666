"""benchmarks/saving.py, with small jobs."""

import pytest

from benchmarks import saving
from benchmarks.saving import OVERLAPPED, SERIAL, Measured, main, table

pytestmark = pytest.mark.long


def test_it_measures_both_and_their_files_are_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:6]
    assert [row.split(" | ")[0] for row in rows] == ["| 1", "| 1", "| 4", "| 4"]


def test_files_that_differ_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    digests = iter("ab" * 4)
    monkeypatch.setattr(saving, "digest", lambda _: next(digests))
    assert main(["--quick"]) == 1
    assert "the files differ" in capsys.readouterr().err


def test_the_table_compares_with_the_serial_baseline() -> None:
    serial = Measured(idle=[0.4, 0.5, 0.6], minutes=[0.1])
    overlapped = Measured(idle=[0.01], minutes=[0.05])
    text = table({1: {SERIAL: serial, OVERLAPPED: overlapped}})
    assert "| 500 ms | 10.0 |" in text
    assert "| 10 ms (0.02×) | 20.0 (2.00×) |" in text
