"""What is remembered of messages on their way."""

import pytest

from bot.chat.delivery import traffic
from bot.chat.delivery.traffic import Traffic
from bot.errors import AnsweredElsewhere
from bot.store import Job
from bot.store.jobs import new_id
from tests.store.factories import any_job


async def test_what_was_answered_elsewhere_is_remembered_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(traffic, "ELSEWHERE_MAX", 2)
    passing = Traffic()

    def answered() -> Job:
        job = any_job(id=new_id())
        with pytest.raises(AnsweredElsewhere), passing.acknowledging(job):
            raise AnsweredElsewhere
        return job

    jobs = [answered() for _ in range(3)]
    assert [await passing.acknowledged(job) is None for job in jobs] == [False, True, True]
    assert len(passing._elsewhere) == 2
