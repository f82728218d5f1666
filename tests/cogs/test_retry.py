"""Who may retry a job with less memory, and where; without Discord."""

from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import create_autospec

import discord
import pytest
from discord import app_commands

from bot.chat.ui.buttons import RetryId
from bot.errors import Refused
from bot.progress import Notice
from bot.store import Job, Kind
from cogs.results import Results
from cogs.retry import RetryButton
from tests.catalog.fixed import fixed
from tests.chat.delivery.desk import TEXTS, Desk
from tests.chat.found import ANYWHERE, found_here
from tests.cogs.crowd import DEMO, GUILD
from tests.store.factories import in_channel, request

LARGE = request(adapters=(), width=1536, height=1536)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with Desk.open(tmp_path) as desk:
        yield desk


def button(desk: Desk) -> RetryButton:
    acting = Results(
        texts=TEXTS,
        catalog=fixed(DEMO),
        store=desk.store,
        queue=desk.queue,
        delivery=desk.delivery,
        contexts=ANYWHERE,
    )
    return RetryButton(acting)


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
