"""Reports come out as they went in, or are refused by name."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.errors import WireError
from bot.progress import Progress, Stage
from bot.wire import reports
from tests.wire.things import jpeg, png
from tests.wire.things import reports as any_report


@given(any_report())
def test_a_report_comes_out_as_it_went_in(progress: Progress) -> None:
    data, preview = reports.encode(progress)
    assert jpeg() not in data
    assert reports.decode(data, preview) == progress


@given(st.binary(max_size=100))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(WireError, match=r"^report: "):
        reports.decode(noise, b"")


PAINTING = Progress(Stage.PAINTING, step=1, steps=2)


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (replace(PAINTING, stage=Stage.QUEUED), "stage"),
        (replace(PAINTING, stage=Stage.SAVING), "stage"),
        (replace(PAINTING, position=3), "queue"),
        (replace(PAINTING, paused=True), "queue"),
        (replace(PAINTING, step=3), "step"),
        (replace(PAINTING, steps=10**9), "steps"),
        (replace(PAINTING, step=-1), "step"),
        (replace(PAINTING, image=2), "image"),
        (replace(PAINTING, count=0), "count"),
        (replace(PAINTING, fraction=1.5), "fraction"),
        (replace(PAINTING, subject="x" * 300), "subject"),
        (replace(PAINTING, subject="two\nlines"), "subject"),
        (replace(PAINTING, preview=png()), "preview"),
        (replace(PAINTING, preview=b"\xff\xd8\xff"), "preview"),
        (replace(PAINTING, preview=jpeg(2_000)), "sides"),
        (replace(PAINTING, preview=jpeg() + bytes(2**18)), "bytes"),
    ],
)
def test_what_no_engine_reports_is_refused(wrong: Progress, field: str) -> None:
    with pytest.raises(WireError, match=rf"^report: .*{field}"):
        reports.decode(*reports.encode(wrong))
