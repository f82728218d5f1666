"""Who may retry a job with less memory, and where; without Discord."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import create_autospec

import discord
import pytest
from discord import app_commands

from bot.chat.ui.buttons import AnewId, RetryId
from bot.errors import Refused
from bot.levels import Rules
from bot.progress import Notice
from bot.request import DetailUse, Hires
from bot.store import Failure, Job, Kind
from cogs.results import Results
from cogs.retry import AnewButton, RetryButton
from tests.catalog.fixed import fixed
from tests.chat.delivery.desk import Desk
from tests.chat.found import ANYWHERE, found_here
from tests.cogs.crowd import DEMO, GUILD
from tests.language import TEXTS
from tests.store.factories import in_channel, request

LARGE = request(adapters=(), width=1536, height=1536)
FACES = (DetailUse("face"),)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


def results(desk: Desk) -> Results:
    return Results(
        texts=TEXTS,
        catalog=fixed(DEMO),
        store=desk.store,
        queue=desk.queue,
        delivery=desk.delivery,
        contexts=ANYWHERE,
    )


def button(desk: Desk) -> RetryButton:
    return RetryButton(results(desk))


def press(desk: Desk, user_id: int = 7, *, nsfw: bool = False, missing: str = "") -> Any:
    channel = create_autospec(discord.TextChannel, instance=True)
    channel.is_nsfw = lambda: nsfw
    permissions = discord.Permissions.all()
    if missing:
        permissions.update(**{missing: False})
    pressed = desk.interaction()
    pressed.channel, pressed.permissions = channel, permissions
    pressed.user = SimpleNamespace(id=user_id)
    pressed.extras = found_here(nsfw=nsfw)
    pressed.locale, pressed.guild_id, pressed.filesize_limit = "en-US", GUILD, 10_000_000
    return pressed


async def asked(desk: Desk, **fields: Any) -> Job:
    return (await desk.accepted(in_channel(request=LARGE, **fields))).job


async def test_what_was_noted_about_the_prompt_is_said_with_the_second_attempt(desk: Desk) -> None:
    note = Notice("dialect.form.words", {"form": "[a|b]"})
    job = await asked(desk, warnings=(note,))
    await button(desk).use(press(desk), RetryId(job.id))
    again = [ticket.job for ticket in await desk.queue.standings() if ticket.job.id != job.id]
    assert [each.warnings for each in again] == [(note,)]


@pytest.mark.parametrize(
    ("kind", "again"),
    [("imagine", "imagine"), ("edit", "edit"), ("vary", "vary"), ("reroll", "imagine")],
)
async def test_it_is_found_among_what_was_asked_for(desk: Desk, kind: Kind, again: Kind) -> None:
    job = await asked(desk, kind=kind)
    await button(desk).use(press(desk), RetryId(job.id))
    made = [ticket.job for ticket in await desk.queue.standings() if ticket.job.id != job.id]
    assert [each.kind for each in made] == [again]


@pytest.mark.parametrize(
    ("hires", "again", "detail"),
    [(Hires(1.5, 0.5, 10), "detail", FACES), (None, "imagine", ())],
)
async def test_without_repainted_details_it_is_no_request_for_them(
    desk: Desk, hires: Hires | None, again: Kind, detail: tuple[DetailUse, ...]
) -> None:
    heavy = request(adapters=(), hires=hires, detail=FACES)
    job = (await desk.accepted(in_channel(request=heavy, kind="detail"))).job
    await button(desk).use(press(desk), RetryId(job.id))
    made = [ticket.job for ticket in await desk.queue.standings() if ticket.job.id != job.id]
    assert [(each.kind, each.request.detail) for each in made] == [(again, detail)]


async def test_its_author_may_where_they_could_ask(desk: Desk) -> None:
    job = await asked(desk)
    custom_id = RetryId(job.id)
    retry = button(desk)
    await retry.check(press(desk), custom_id)
    with pytest.raises(Refused) as foreign:
        await retry.use(press(desk, user_id=8), custom_id)
    assert foreign.value.code == "lighter.foreign"
    for missing in ("send_messages", "use_application_commands"):
        with pytest.raises(app_commands.MissingPermissions):
            await retry.check(press(desk, missing=missing), custom_id)
    await retry.use(press(desk), custom_id)
    assert len(desk.queue.places()) == 2


async def test_what_was_asked_in_an_age_restricted_channel_is_retried_only_in_one(
    desk: Desk,
) -> None:
    job = await asked(desk, age_restricted=True)
    with pytest.raises(Refused) as lifted:
        await button(desk).use(press(desk), RetryId(job.id))
    assert (lifted.value.code, lifted.value.params) == ("repeat.gated", {})
    await button(desk).use(press(desk, nsfw=True), RetryId(job.id))
    again = [ticket.job for ticket in await desk.queue.standings() if ticket.job.id != job.id]
    assert [cast("Any", one.origin).age_restricted for one in again] == [True]


async def failed(desk: Desk, **fields: Any) -> Job:
    job = await asked(desk, **fields)
    desk.queue.leave(job.id)
    ended = await desk.store.fail(job, Failure("job.timeout", {"seconds": 600}))
    assert ended is not None
    return ended


@pytest.mark.parametrize(("kind", "again"), [("imagine", "imagine"), ("reroll", "imagine")])
async def test_what_failed_is_asked_for_again_as_it_was(
    desk: Desk, kind: Kind, again: Kind
) -> None:
    job = await failed(desk, kind=kind)
    await AnewButton(results(desk)).use(press(desk), AnewId(job.id))
    [new] = [ticket.job for ticket in await desk.queue.standings()]
    assert (new.request, new.kind, new.parent_id) == (job.request, again, job.id)


async def test_what_is_not_finished_is_cancelled_instead(desk: Desk) -> None:
    job = await asked(desk)
    with pytest.raises(Refused) as refused:
        await AnewButton(results(desk)).use(press(desk), AnewId(job.id))
    assert refused.value.code == "action.unfinished"


async def test_others_may_retry_what_they_see_unless_only_its_person_may_use_the_buttons(
    desk: Desk,
) -> None:
    job, hidden = await failed(desk), await failed(desk, hidden=True)
    retry = AnewButton(results(desk))
    await retry.use(press(desk, user_id=8), AnewId(job.id))
    assert [ticket.job.person for ticket in await desk.queue.standings()] == ["discord:8"]
    with pytest.raises(Refused) as unseen:
        await retry.use(press(desk, user_id=8), AnewId(hidden.id))
    assert unseen.value.code == "action.gone"
    strict = press(desk, user_id=8)
    strict.extras = found_here(rules=Rules(buttons="requester"))
    with pytest.raises(Refused) as foreign:
        await retry.use(strict, AnewId(job.id))
    assert foreign.value.code == "action.foreign"


async def test_what_was_asked_in_an_age_restricted_channel_is_asked_for_again_only_in_one(
    desk: Desk,
) -> None:
    job = await failed(desk, age_restricted=True)
    with pytest.raises(Refused) as lifted:
        await AnewButton(results(desk)).use(press(desk), AnewId(job.id))
    assert lifted.value.code == "repeat.gated"
