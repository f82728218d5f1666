"""Patience with what has no deadline ends, but not for one that gets on."""

import pytest

from bot.distributed import patience
from bot.distributed.patience import BORNE, STEP, SUBJECTS_MAX, Patience
from bot.progress import Progress, Stage


class Clock:
    """Goes on by `second` with each look at it."""

    now = 0.0
    second = 1.0

    def monotonic(self) -> float:
        self.now += self.second
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(patience, "time", made)
    return made


def told(patient: Patience, *fractions: float, subject: str = "x") -> bool:
    for fraction in fractions:
        patient.heard(Progress(Stage.DOWNLOADING, subject=subject, fraction=fraction))
    return patient.is_over


def test_a_slow_download_may_take_as_long_as_it_takes(clock: Clock) -> None:
    clock.second = BORNE / 2
    assert not told(Patience(), *(number * STEP / 2 for number in range(201)))


@pytest.mark.parametrize(
    "fractions",
    [[0.5] * 4, [0.1, 0.2, 0.1, 0.2, 0.1], [0.5 + n * STEP / 10 for n in range(5)], [1.0] * 4],
)
def test_one_that_does_not_get_on_may_not(clock: Clock, fractions: list[float]) -> None:
    clock.second = BORNE / 2
    assert told(Patience(), *fractions)


def test_nor_does_it_get_on_by_doing_something_else_between(clock: Clock) -> None:
    clock.second = BORNE / 4
    patient = Patience()
    for _ in range(8):
        assert not patient.is_over or clock.now > BORNE
        told(patient, 0.5)
        patient.heard(Progress(Stage.LOADING))
    assert patient.is_over


def test_other_stages_take_no_patience(clock: Clock) -> None:
    clock.second = BORNE
    patient = Patience()
    for step in range(10):
        patient.heard(Progress(Stage.PAINTING, step=step, steps=10))
    assert not patient.is_over


def test_what_is_downloaded_next_is_another(clock: Clock) -> None:
    clock.second = BORNE / 2
    patient = Patience()
    for number in range(SUBJECTS_MAX):
        assert not told(patient, 1.0, 1.0, subject=str(number))
    assert told(patient, 1.0, 1.0, subject="one more")
