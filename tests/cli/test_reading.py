"""The terminal says how far reading is, a line a second."""

import pytest

from bot.cli.reading import Progress


def test_a_line_a_second_and_none_before(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 0.5, 1.0, 1.4, 2.5])
    said = Progress(lambda: next(times))
    for read in (0, 1_000, 1_200, 3_000):
        said(read, 3_000)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "Reading model files: 1,000 of 3,000",
        "Reading model files: 3,000 of 3,000",
    ]
