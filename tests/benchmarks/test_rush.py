"""The parts of benchmarks/rush.py that need no bot."""

from collections import Counter
from pathlib import Path

import pytest

from benchmarks.bot_process import Home
from benchmarks.rush import PER_PERSON, RUSHES, Outcome, fill, table
from bot.store import JobState, Store
from playground import Playground


def outcome(slowest: float, unanswered: int = 0) -> Outcome:
    found = Outcome(unanswered=Counter(imagine=unanswered), accepted=3)
    found.took["imagine"] = [5.0, slowest]
    found.took["queue"] = [7.0]
    return found


@pytest.mark.parametrize(
    ("found", "met"), [(outcome(900), True), (outcome(1_100), False), (outcome(9, 1), False)]
)
def test_a_goal_that_is_missed_is_marked(found: Outcome, met: bool) -> None:
    text = table([(RUSHES[0], found)], calls=4, seconds=1)
    assert found.met == met == ("missed" not in text)
    assert f"| {found.unanswered.total()} of 4" in text


def test_the_table_says_what_else_was_going_on() -> None:
    found = [(RUSHES[0], outcome(900))]
    assert "computing" not in table(found, calls=4, seconds=1)
    assert "Other processes computing all the time: 2." in table(found, 4, 1, busy=2)


async def test_the_queue_is_filled_with_what_each_person_may_have(tmp_path: Path) -> None:
    home = Home(tmp_path, tmp_path)
    async with Playground() as playground:
        await fill(home, playground.channel, 2 * PER_PERSON + 1)
    async with Store.open(home.data / "imagen.sqlite3") as store:
        jobs = await store.jobs_in(JobState.PENDING, ("discord",))
    assert sorted(Counter(job.person for job in jobs).values()) == [1, PER_PERSON, PER_PERSON]
