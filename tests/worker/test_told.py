"""Which of the times that people were told is the next to pass."""

from bot.progress import Progress, Stage
from bot.worker.told import times_told


def ready(at: int | None) -> Progress:
    return Progress(Stage.QUEUED, position=2, ready_at=at)


def test_a_message_shows_the_time_that_was_told_first_until_that_has_passed() -> None:
    assert times_told({}, {"a": ready(60)}, now=0) == {"a": 60}
    assert times_told({"a": 60}, {"a": ready(100)}, now=20) == {"a": 60}
    assert times_told({"a": 60}, {"a": ready(50)}, now=20) == {"a": 50}
    assert times_told({"a": 60}, {"a": ready(100)}, now=60) == {"a": 100}


def test_a_job_that_has_left_or_has_no_time_is_not_waited_for() -> None:
    assert times_told({"a": 60, "b": 70}, {"b": ready(None)}, now=20) == {}
