"""What was asked for in an age-restricted channel, and what becomes of the channel."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import discord
import pytest

from bot.chat.delivery.age_gate import AgeGate
from bot.chat.delivery.outbox import Away
from bot.errors import JobFailed, StoreError
from bot.request import AdapterUse
from bot.store import Job
from catalog import AdapterEntry, Catalog, ModelEntry
from tests.catalog.fixed import fixed
from tests.chat.delivery.discord_fakes import http_error
from tests.store.factories import any_job, request

PLACE, PARENT = 20, 21
MODELS = [
    ModelEntry(key="demo", name="Demo", path="a/b"),
    ModelEntry(key="adult", name="Adult", path="a/b", nsfw=True),
]
ADAPTERS = [
    AdapterEntry(key="ink", name="Ink", path="a/b"),
    AdapterEntry(key="nude", name="Nude", path="a/b", nsfw=True),
]
CATALOG = Catalog({m.key: m for m in MODELS}, {a.key: a for a in ADAPTERS}, "demo")


def text_channel(*, nsfw: bool) -> Any:
    channel = create_autospec(discord.TextChannel, instance=True)
    channel.is_nsfw = lambda: nsfw
    return channel


def thread(parent: Any) -> Any:
    channel = create_autospec(discord.Thread, instance=True)
    channel.parent, channel.parent_id = parent, PARENT
    return channel


def gate(known: dict[int, Any], asked: dict[int, Any] | Exception | None = None) -> AgeGate:
    """known: in the client's cache. asked: what Discord answers."""

    async def fetch_channel(channel_id: int) -> Any:
        if isinstance(asked, dict):
            return asked[channel_id]
        raise asked or AssertionError("there was no need to ask")

    client: Any = SimpleNamespace(get_channel=known.get, fetch_channel=fetch_channel)
    return AgeGate(client, fixed(CATALOG))


def job(**fields: Any) -> Job:
    asked = request(model=fields.pop("model", "demo"), adapters=())
    return any_job(asked, **{"guild_id": 1, "channel_id": PLACE, **fields})


RESTRICTED = job(age_restricted=True)


async def test_what_was_asked_elsewhere_is_free() -> None:
    for known in ({}, {PLACE: text_channel(nsfw=False)}):
        assert await gate(known).objection(job()) is None
        assert not gate(known).hides(job())
        assert not gate(known).applies(job())


@pytest.mark.parametrize("asked", [RESTRICTED, job(model="adult")])
async def test_the_channel_decides_or_a_threads_parent(asked: Job) -> None:
    for nsfw, objection in ((True, None), (False, "delivery.lifted")):
        for channel in (text_channel(nsfw=nsfw), thread(text_channel(nsfw=nsfw))):
            known = gate({PLACE: channel})
            assert await known.objection(asked) == objection
            assert known.hides(asked) is not nsfw
            assert known.applies(asked)


async def test_a_lora_counts_as_well() -> None:
    assert not gate({}).applies(any_job(request(model="gone", adapters=(AdapterUse("ink", 1.0),))))
    nude = any_job(request(adapters=(AdapterUse("nude", 1.0),)), channel_id=PLACE, guild_id=1)
    assert await gate({PLACE: text_channel(nsfw=False)}).objection(nude) == "delivery.lifted"


@pytest.mark.parametrize("nsfw", [True, False])
async def test_a_channel_that_is_not_known_is_asked_about(nsfw: bool) -> None:
    expected = None if nsfw else "delivery.lifted"
    place = text_channel(nsfw=nsfw)
    assert await gate({}, {PLACE: place}).objection(RESTRICTED) == expected
    assert await gate({}, {PLACE: thread(None), PARENT: place}).objection(RESTRICTED) == expected
    orphan = gate({PLACE: thread(None)}, {PLACE: thread(None), PARENT: place})
    assert await orphan.objection(RESTRICTED) == expected
    # A message that shows it already goes on to, until more is known.
    assert not orphan.hides(RESTRICTED)


async def test_what_has_a_flagged_word_counts_as_well() -> None:
    async def flagged(job: Job) -> bool:
        return job.request.prompt == "flagged"

    async def lost(job: Job) -> bool:
        raise StoreError("locked")

    client: Any = SimpleNamespace(get_channel=lambda _: text_channel(nsfw=False))
    known = AgeGate(client, fixed(CATALOG), flagged)
    flagged_request = request(prompt="flagged", model="demo", adapters=())
    asked = any_job(flagged_request, channel_id=PLACE, guild_id=1)
    assert await known.concerns(asked)
    assert await known.objection(asked) == "delivery.lifted"
    assert await known.objection(job()) is None
    with pytest.raises(Away):
        await AgeGate(client, fixed(CATALOG), lost).objection(job())


async def test_what_could_not_be_shown_is_not_generated() -> None:
    for nsfw in (True, False):
        known = gate({PLACE: text_channel(nsfw=nsfw)})
        await known.permit(job())
        if nsfw:
            await known.permit(RESTRICTED)
            continue
        with pytest.raises(JobFailed, match="lifted"):
            await known.permit(RESTRICTED)
    # A channel that is not known yet is asked about when there is something to show.
    await gate({}).permit(RESTRICTED)


async def test_a_channel_that_cannot_be_seen_gets_nothing() -> None:
    for error, objection in (
        (http_error(404, 10003), "delivery.gone"),
        (http_error(403, 50001), "delivery.forbidden"),
    ):
        assert await gate({}, error).objection(RESTRICTED) == objection
    with pytest.raises(Away):
        await gate({}, http_error(503)).objection(RESTRICTED)
    with pytest.raises(KeyError):
        await gate({}, KeyError("a bug")).objection(RESTRICTED)


@pytest.mark.parametrize("place", [{"guild_id": None}, {"guild_id": 1, "absent": True}])
async def test_where_the_bot_is_not_nothing_is_age_restricted(place: dict[str, Any]) -> None:
    assert await gate({}).objection(job(**place)) is None
    adult = job(model="adult", **place)
    assert gate({PLACE: text_channel(nsfw=True)}).hides(adult)
    assert await gate({PLACE: text_channel(nsfw=True)}).objection(adult) == "delivery.where.gated"
