"""Deleting a result: whoever does it is told what has become of its messages; no Discord."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot.store import Job
from bot.store.sent_again import Shown
from cogs.delete import Deleting
from cogs.results import Results
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import AWAY, FORBIDDEN, GONE
from tests.chat.found import ANYWHERE, found_here
from tests.language import TEXTS
from tests.store.factories import in_channel


class Pressed:
    """An interaction of the person who asked for the result, whose answer is always taken."""

    def __init__(self) -> None:
        self.user, self.extras, self.told = SimpleNamespace(id=7), found_here(), list[str]()
        self.response = self

    async def defer(self) -> None: ...

    async def edit_original_response(self, *, content: str, view: object) -> None:
        self.told.append(content)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


async def shown(desk: Desk) -> Job:
    """A result that is also shown in another channel."""
    job = await desk.asked_and_painted(in_channel())
    await desk.delivery.finished(job)
    await desk.store.sent_again.add(job.id, Shown(21, 31))
    return job


@pytest.mark.parametrize(
    ("refused", "told"),
    [
        ((None, None), "Deleted."),
        ((GONE, GONE), "Deleted."),
        ((AWAY, None), "Deleted. The message itself goes as soon as Discord lets me take it down."),
        ((None, AWAY), "Deleted. The message itself goes as soon as Discord lets me take it down."),
        ((AWAY, FORBIDDEN), "The files are deleted. I can't take down the message itself any more"),
    ],
)
async def test_its_person_is_told_when_the_messages_go(
    desk: Desk, refused: tuple[Exception | None, ...], told: str
) -> None:
    job, pressed = await shown(desk), Pressed()
    results = Results(
        texts=TEXTS,
        catalog=cast("Any", None),
        store=desk.store,
        queue=desk.queue,
        delivery=desk.delivery,
        contexts=ANYWHERE,
    )
    desk.world.refuse("delete", *refused)
    await Deleting(results, desk.delivery, desk.images).delete(cast("Any", pressed), job.id)
    [said] = pressed.told
    assert said.startswith(told)
    assert said == told or told.startswith("The files")
    assert (await desk.store.job(job.id)).deleted_at is not None
    assert await desk.store.images(job.id) == ()
    assert not list(desk.images.rglob("*.png"))
