"""benchmarks/engine_overhead.py, with tiny images."""

import pytest

from benchmarks.engine_overhead import THREAD, WAYS, Measured, main, table


@pytest.mark.long
def test_every_way_is_measured_and_the_bytes_are_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--quick"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows[: len(WAYS)]] == [f"| {way.name}" for way in WAYS]


def test_bytes_that_differ_are_a_failure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        THREAD: Measured([1.0], [0.001], {"a"}),
        "process": Measured([1.0], [0.001], {"b"}),
    }
    monkeypatch.setattr("benchmarks.engine_overhead.measure", lambda *_: found)
    assert main([]) == 1
    assert "the bytes differ" in capsys.readouterr().err


def test_the_table_compares_with_the_thread() -> None:
    thread = Measured([1.0, 1.1, 0.9], [0.002])
    text = table({THREAD: thread, "process": Measured([1.05], [0.0145])}, 10, 256)
    assert "| thread | 1000 ms |  | 2.0 ms |" in text
    assert "| process | 1050 ms | 1.050× | 14.5 ms, +12.5 ms |" in text
