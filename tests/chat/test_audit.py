"""Telling what was changed: once, in order, and whom if a channel refuses."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import create_autospec

import discord
import pytest

from bot.backoff import Backoff
from bot.chat.audit import Audit, ReportedPictures
from bot.chat.audit import patience as patience_module
from bot.chat.audit import telling as telling_module
from bot.chat.audit.places import OWNERS, Destination, Destinations
from bot.chat.places import may_tell
from bot.chat.ui.acts import act_line
from bot.errors import StoreError
from bot.levels import Levels
from bot.store import Act, ActKind, Job, Store
from bot.store.acts import UNTOLD_MAX
from catalog import Catalog
from tests.chat.delivery.discord_fakes import http_error
from tests.language import TEXTS
from tests.store.factories import done, in_channel, origin_of

SERVER = "discord:100"


class Channel:
    """Discord returns the first message for a nonce that it knows."""

    def __init__(self, channel_id: int) -> None:
        self.id = channel_id
        self.sent: dict[str, dict[str, Any]] = {}
        self.refuses: Exception | None = None
        self.lost = False
        self.tried = 0

    async def send(self, **sent: Any) -> None:
        self.tried += 1
        if self.refuses is not None:
            raise self.refuses
        self.sent.setdefault(sent["nonce"], sent)
        if self.lost:
            self.lost = False
            raise http_error(503)

    @property
    def texts(self) -> list[str]:
        return [sent["content"] for sent in self.sent.values()]


class Places:
    """Stands for Destinations: a server, others by their community, and the owners."""

    def __init__(self) -> None:
        self.server, self.owners = Channel(1), Channel(2)
        self.others = {f"discord:{n}": Channel(n) for n in range(101, 110)}
        self.guild: Any = SimpleNamespace(id=100, preferred_locale="de")
        self.chosen = True
        self.closed: Exception | None = None

    async def of(self, act: Act) -> Destination | None:
        if act.community is None:
            return OWNERS
        if not self.chosen:
            return OWNERS if act.kind is ActKind.REPORTED else None
        return Destination(cast("Any", self.others.get(act.community, self.server)), self.guild)

    async def routes(self, destination: Destination) -> AsyncIterator[Sequence[Channel]]:
        if destination is OWNERS and self.closed is not None:
            raise self.closed
        yield [self.owners if destination is OWNERS else cast("Any", destination.channel)]


class Desk:
    def __init__(self, store: Store) -> None:
        self.store, self.places, self.now = store, Places(), 0.0
        self.clock: Callable[[], float] = lambda: self.now
        self.pictures: dict[str, tuple[int, str]] = {}
        self.start()

    def start(self) -> None:
        """As a new process would."""
        self.audit = Audit(
            store=self.store,
            texts=TEXTS,
            levels=Levels(self.store),
            catalog=cast("Any", SimpleNamespace(whole=Catalog({}, {}, ""))),
            destinations=cast("Destinations", self.places),
            pictures=cast("Any", self),
            clock=self.clock,
        )

    async def show(self, channel: Channel, job: Job, say: object, nonce: str) -> None:
        """Stands for ReportedPictures."""
        self.pictures[nonce] = channel.id, job.id

    async def tell(self) -> None:
        await self.audit._tell_all()

    async def record(self, *communities: str | None) -> None:
        for number, community in enumerate(communities):
            await self.store.acts.record(
                kind=ActKind.WORDS_CHANGED, actor="discord:7", community=community, n=number
            )


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Desk]:
    monkeypatch.setattr(telling_module, "PACE", 0)
    async with Store.open(tmp_path / "x.sqlite3") as store:
        yield Desk(store)


async def test_each_is_told_once_in_order_and_pings_nobody(desk: Desk) -> None:
    await desk.record(SERVER, None, SERVER)
    await desk.tell()
    await desk.tell()
    assert [text[-5:] for text in desk.places.server.texts] == ["`n: 0`"[-5:], "`n: 2`"[-5:]]
    assert "gesperrten Wörter" in desk.places.server.texts[0]
    assert ["changed the blocked words" in text for text in desk.places.owners.texts] == [True]
    for sent in desk.places.server.sent.values():
        assert sent["allowed_mentions"].to_dict()["parse"] == []
    assert await desk.store.acts.count_untold() == 0


async def test_one_that_arrived_unnoticed_is_not_told_twice(desk: Desk) -> None:
    await desk.record(SERVER)
    desk.places.server.lost = True
    await desk.tell()
    assert await desk.store.acts.count_untold() == 1
    desk.start()
    await desk.tell()
    assert len(desk.places.server.texts) == 1
    assert await desk.store.acts.count_untold() == 0


async def test_a_refusing_channel_is_left_alone_for_a_while(desk: Desk) -> None:
    await desk.record(SERVER, SERVER, None)
    desk.places.server.refuses = http_error(403, 50001)
    await desk.tell()
    assert list(desk.audit.refusing) == [SERVER]
    assert len(desk.places.owners.texts) == 1
    desk.places.server.refuses = None
    await desk.tell()
    assert desk.places.server.texts == []
    desk.now = patience_module.AGAIN
    await desk.tell()
    assert len(desk.places.server.texts) == 2
    assert not desk.audit.refusing


async def test_one_that_cannot_be_reached_keeps_nobody_else_and_its_own_in_order(
    desk: Desk,
) -> None:
    await desk.record(SERVER, None, "discord:101", SERVER)
    desk.places.server.refuses = http_error(503)
    await desk.tell()
    assert [len(desk.places.owners.texts), len(desk.places.others["discord:101"].texts)] == [1, 1]
    assert not desk.audit.refusing
    desk.places.server.refuses = None
    await desk.tell()
    assert desk.places.server.texts == [], "it is left alone for a moment"
    desk.now = patience_module.RETRY_AFTER.after(0)
    await desk.tell()
    assert [text[-5:] for text in desk.places.server.texts] == ["`n: 0`"[-5:], "`n: 3`"[-5:]]


async def test_the_owners_direct_messages_cannot_be_opened(desk: Desk) -> None:
    desk.places.closed = http_error(403, 50007)
    await desk.record(None, SERVER)
    await desk.tell()
    assert list(desk.audit.refusing) == [None]
    assert len(desk.places.server.texts) == 1


async def test_one_that_is_out_of_reach_for_long_counts_as_refusing(desk: Desk) -> None:
    """As a channel with a slow mode of hours. A report then goes to the owners."""
    job = await done(desk.store, in_channel(guild_id=100))
    await desk.store.reports.add(job, "discord:8", "it shows me")
    desk.places.server.refuses = http_error(429, 20016)
    for _ in range(patience_module.TRIES):
        assert desk.places.owners.texts == []
        await desk.tell()
        desk.now += max(patience_module.RETRY_AFTER.after(n) for n in range(9))
    assert list(desk.audit.refusing) == [SERVER]
    assert len(desk.places.owners.texts) == 1


async def test_when_several_cannot_be_reached_discord_is_away(desk: Desk) -> None:
    everyone = desk.places.others.values()
    await desk.record(*desk.places.others)
    for channel in everyone:
        channel.refuses = http_error(503)
    await desk.tell()
    assert sum(channel.tried for channel in everyone) == patience_module.AWAY
    # Others come first then, so that one that can be reached is not kept by these.
    await desk.tell()
    assert [channel.tried for channel in everyone][: 2 * patience_module.AWAY] == [
        *[1] * 2 * patience_module.AWAY
    ]
    for _ in range(3 * patience_module.TRIES):
        desk.now += max(patience_module.RETRY_AFTER.after(n) for n in range(9))
        await desk.tell()
    assert not desk.audit.refusing, "none of them is to blame"


async def test_without_a_network_nothing_else_is_tried(desk: Desk) -> None:
    await desk.record(SERVER, "discord:101")
    desk.places.server.refuses = OSError("no network")
    with pytest.raises(OSError, match="no network"):
        await desk.tell()
    assert desk.places.others["discord:101"].tried == 0


@pytest.mark.parametrize("error", [http_error(503), OSError()])
async def test_all_are_told_once_discord_is_back(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    for module in (patience_module, telling_module):
        monkeypatch.setattr(module, "RETRY_AFTER", Backoff(0.001))
    desk.clock = time.monotonic
    desk.start()
    everyone = [*desk.places.others.values(), desk.places.owners]
    for channel in everyone:
        channel.refuses = error
    await desk.record(*desk.places.others, None)
    running = asyncio.create_task(desk.audit.run(_set(asyncio.Event())))
    async with asyncio.timeout(10):
        while sum(channel.tried for channel in everyone) <= patience_module.AWAY:  # noqa: ASYNC110
            await asyncio.sleep(0)
        for channel in everyone:
            channel.refuses = None
        await desk.audit.settled()
    assert [len(channel.texts) for channel in everyone] == [1] * len(everyone)
    assert not desk.audit.refusing
    running.cancel()


async def test_an_act_of_a_newer_version_is_passed_over_and_logged_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    await desk.record(*[SERVER] * UNTOLD_MAX, None)
    await desk.store._database.write(
        lambda write: write.execute(
            "UPDATE acts SET kind = 'of_tomorrow' WHERE community IS NOT NULL"
        )
    )
    await desk.tell()
    await desk.tell()
    assert len(desk.places.owners.texts) == 1
    said = [line for line in caplog.messages if "cannot be read" in line]
    assert len(said) == len({*said}) == UNTOLD_MAX
    assert await desk.store.acts.count_untold() == UNTOLD_MAX, "it may be read later"


async def test_an_act_that_cannot_be_told_keeps_no_other(
    desk: Desk, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = act_line

    def chokes(say: Any, act: Act, catalog: Catalog) -> str:
        if act.details["n"] == 0:
            raise KeyError("a bug")
        return whole(say, act, catalog)

    monkeypatch.setattr(telling_module, "act_line", chokes)
    await desk.record(SERVER, SERVER, None)
    await desk.tell()
    desk.now = patience_module.AGAIN
    await desk.tell()
    assert [len(desk.places.server.texts), len(desk.places.owners.texts)] == [1, 1]
    assert [line for line in caplog.messages if "cannot be told" in line] == [
        "act 1 cannot be told"
    ]
    monkeypatch.undo()
    await desk.tell()
    assert len(desk.places.server.texts) == 1, "it is left alone for a while"
    desk.now *= 2
    await desk.tell()
    assert len(desk.places.server.texts) == 2


async def test_another_audit_channel_is_tried_at_once(desk: Desk) -> None:
    running = asyncio.create_task(desk.audit.run(_set(asyncio.Event())))
    await desk.record(SERVER)
    desk.places.server.refuses = http_error(404, 10003)
    await desk.audit.settled()
    assert list(desk.audit.refusing) == [SERVER]
    desk.places.server.refuses = None
    desk.audit.heed(SERVER)
    await desk.audit.settled()
    assert len(desk.places.server.texts) == 1
    running.cancel()


def _set(event: asyncio.Event) -> asyncio.Event:
    event.set()
    return event


async def test_without_an_audit_channel_nobody_is_told_later(desk: Desk) -> None:
    desk.places.chosen = False
    await desk.record(SERVER)
    await desk.tell()
    desk.places.chosen = True
    await desk.tell()
    assert desk.places.server.texts == []


@pytest.mark.parametrize("chosen", [True, False])
async def test_a_report_finds_someone(desk: Desk, chosen: bool) -> None:
    job = await done(desk.store, in_channel(guild_id=100))
    desk.places.chosen = chosen
    desk.places.server.refuses = http_error(403, 50001)
    await desk.store.reports.add(job, "discord:8", "it shows me")
    await desk.tell()
    [sent] = desk.places.owners.sent.values()
    assert "it shows me" in sent["content"]
    assert len(sent["view"].children) == 3
    assert [*desk.pictures.values()] == [(desk.places.owners.id, job.id)]
    assert {*desk.pictures}.isdisjoint(desk.places.owners.sent)
    assert list(desk.audit.refusing) == ([SERVER] if chosen else [])


async def test_a_report_of_what_is_shown_again_is_for_those_who_see_it(desk: Desk) -> None:
    job = await done(desk.store, in_channel(guild_id=200))
    shown = replace(origin_of(job), guild_id=100, channel_id=5, message_id=6)
    await desk.store.reports.add(job, "discord:8", "it shows me", shown)
    await desk.tell()
    [text] = desk.places.server.texts
    assert "channels/100/5/6" in text


async def test_the_moderators_of_the_server_go_and_look_themselves(desk: Desk) -> None:
    job = await done(desk.store, in_channel(guild_id=100))
    await desk.store.reports.add(job, "discord:8", "it shows me", origin_of(job))
    await desk.tell()
    assert len(desk.places.server.texts) == 1
    assert desk.pictures == {}


async def test_a_picture_whose_disk_is_away_does_not_keep_its_report(desk: Desk) -> None:
    async def send_again(*_: object, **__: object) -> None:
        raise StoreError("the files cannot be read")

    async def check_elsewhere(_: Job) -> None:
        pass

    afterwards = SimpleNamespace(send_again=send_again, check_elsewhere=check_elsewhere)
    client: Any = SimpleNamespace(get_channel=lambda _: None)
    delivery: Any = SimpleNamespace(afterwards=afterwards)
    desk.show = ReportedPictures(client, delivery).show  # type: ignore[method-assign, assignment]
    desk.places.chosen = False
    job = await done(desk.store, in_channel(guild_id=100))
    await desk.store.reports.add(job, "discord:8", "it shows me")
    await desk.tell()
    report, instead = desk.places.owners.texts
    assert "it shows me" in report
    assert instead == "I can't show the reported image here."
    assert await desk.store.acts.count_untold() == 0


async def test_a_note_to_all_goes_behind_everything_else_and_only_once(desk: Desk) -> None:
    assert await desk.store.acts.announce("n1", "Back at nine.", "discord:1", [SERVER])
    assert not await desk.store.acts.announce("n1", "Back at nine.", "discord:1", [SERVER])
    await desk.record(SERVER)
    await desk.tell()
    first, second = desk.places.server.texts
    assert "Back at nine." in second
    assert "Back at nine." not in first


async def test_what_is_recorded_meanwhile_is_told_too(desk: Desk) -> None:
    online = asyncio.Event()
    running = asyncio.create_task(desk.audit.run(online))
    await desk.record(SERVER)
    online.set()
    await desk.audit.settled()
    await desk.record(SERVER)
    await desk.audit.settled()
    assert len(desk.places.server.texts) == 2
    running.cancel()


# Where


class Guild:
    """A server with one channel, in which the bot may write or not."""

    id = 100
    me = cast("discord.Member", None)
    system_channel = None

    def __init__(self, *, writable: bool = True) -> None:
        self.room = create_autospec(discord.TextChannel, instance=True, id=1)
        self.room.permissions_for.return_value = (
            discord.Permissions.all() if writable else discord.Permissions(read_messages=True)
        )

    def get_channel(self, channel_id: int) -> Any:
        return self.room if channel_id == 1 else None


async def routes_of(guild: Guild, chosen: int | None, kind: ActKind) -> list[Any] | None:
    """The channels that are tried; None if the act goes to the owners or to nobody."""

    async def chosen_by(_: str) -> int | None:
        return chosen

    client: Any = SimpleNamespace(get_guild=lambda _: guild)
    places = Destinations(client, cast("Any", None), chosen_by, None)
    destination = await places.of(Act(id=1, at=1, kind=kind, actor="discord:7", community=SERVER))
    if destination is None or destination is OWNERS:
        return None
    return [channel async for route in places.routes(destination) for channel in route]


async def test_nothing_is_told_in_a_channel_of_another_server() -> None:
    guild = Guild()
    assert await routes_of(guild, 1, ActKind.REPORTED) == [guild.room]
    # One that this server has not: none is tried, and a report goes on to the owners.
    assert await routes_of(guild, 2, ActKind.REPORTED) == []
    assert await routes_of(guild, 2, ActKind.WORDS_CHANGED) == []
    assert await routes_of(guild, 2, ActKind.MAINTENANCE) is None
    assert await routes_of(guild, None, ActKind.WORDS_CHANGED) is None


def test_only_a_channel_of_that_server_in_which_the_bot_may_write_is_taken() -> None:
    assert may_tell(cast("Any", Guild()), 1)
    assert not may_tell(cast("Any", Guild()), 2)
    assert not may_tell(cast("Any", Guild(writable=False)), 1)
    assert not may_tell(None, 1)
