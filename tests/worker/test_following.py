"""What is kept for those who follow jobs: only of jobs that run."""

from unittest.mock import MagicMock

import pytest

from bot.progress import Progress, Stage
from bot.store.jobs import new_id
from bot.worker import following
from bot.worker.following import Following
from tests.store.factories import any_job

PREVIEW = Progress(Stage.PAINTING, step=1, steps=9, preview=b"jpeg")


def test_the_last_report_is_kept_with_its_preview() -> None:
    follows, job = Following(MagicMock()), any_job()
    follows.progressed(job, PREVIEW)
    follows.progressed(job, Progress(Stage.PAINTING, step=2, steps=9))
    latest = follows.latest(job.id)
    assert latest is not None
    assert (latest.step, latest.preview) == (2, b"jpeg")


def test_of_one_that_waits_again_there_is_none() -> None:
    follows, job = Following(MagicMock()), any_job()
    follows.progressed(job, PREVIEW)
    with follows.follow(job.id):
        follows.moved({job.id: Progress(Stage.QUEUED, position=1)})
    assert follows.latest(job.id) is None


def test_those_that_end_without_a_word_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LATEST_MAX", 3)
    follows, runs = Following(MagicMock()), any_job()
    for _ in range(5):
        follows.progressed(any_job(id=new_id()), PREVIEW)
        follows.progressed(runs, PREVIEW)
    assert follows.latest(runs.id) == PREVIEW
    assert len(follows._latest) == 3
