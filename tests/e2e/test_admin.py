"""What owners and moderators may do: who they are, what becomes of it, and who is told."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from playground import Channel, ClientRefused, Interaction, Message, User
from tests.e2e.acting import answer, forged, outcome
from tests.e2e.conftest import CANARY
from tests.e2e.court import Court, command, pressed
from tests.e2e.home import Home
from tests.e2e.results import gallery, job_of, parts
from tests.e2e.test_imagine import painted
from tests.e2e.test_life import until
from tests.e2e.test_queue import said

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}
NOT_ALLOWED = "Only the owner of this bot can use this."
NOT_MODERATING = "you need the permission *Manage Messages*"
BLOCKED = "The owner of this bot has blocked you"
BLOCKED_HERE = "moderators have blocked you"
SERVER_BLOCKED = "blocked it in this server"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def court(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> AsyncIterator[Court]:
    async with Court.open(Home(tmp_path_factory.mktemp("court"), models_dir)) as court:
        yield court


ADMIN = (
    ("status",),
    ("reload",),
    ("broadcast",),
    ("entry", "list"),
    ("block", "list"),
    ("server", "list"),
    ("quiet", "show"),
    ("drain", "undo"),
)


@pytest.mark.parametrize(
    ("name", "where", "may"),
    [
        ("tess", "office", True),
        ("dev", "office", True),
        ("rea", "office", False),
        ("ivy", "office", False),
        ("manager", "office", False),
        ("stranger", "office", False),
        ("tess", "hall", False),
        ("stranger", "hall", False),
        ("tess", "dm", False),
    ],
)
async def test_who_may_use_admin(court: Court, name: str, where: str, may: bool) -> None:
    user = court.playground.user(name)
    channel = {
        "office": court.office,
        "hall": court.hall,
        "dm": court.playground.dm(user),
    }[where]
    for names in ADMIN:
        came = await outcome(command(court, user, channel, *names))
        assert (NOT_ALLOWED not in came) == may, names
    for custom_id in ("broadcast:nothing",):
        came = await outcome(pressed(court, user, channel, custom_id))
        assert (NOT_ALLOWED not in came) == may, custom_id


async def test_words_that_an_owner_blocks_hold_in_every_server(court: Court) -> None:
    bea = court.playground.user("bea and the words")
    assert "`zorkmid` is on the list now" in await court.admin("words add", word="zorkmid")
    assert "`zorkmid` – Refuse" in await court.admin("words list")
    assert "`zorkmid` – Refuse" in await court.admin("words test", text="a z.o.r.k.m.i.d")
    for channel in (court.office, court.hall):
        call = await bea.slash("imagine", prompt="a zorkmid", channel=channel)
        assert "words that aren't allowed here" in await outcome(call)
    choices = await court.tess.autocomplete("admin words remove", "word", "", channel=court.office)
    assert [choice.value for choice in choices] == ["zorkmid"]
    assert "no longer on the list" in await court.admin("words remove", word="zorkmid")
    await court.told("changed the blocked words: `word: zorkmid`")


async def test_the_command_is_in_the_chosen_server_alone(court: Court) -> None:
    world = court.playground.core.world
    assert [c["name"] for c in world.commands[court.playground.guild.id].values()] == ["admin"]
    assert "admin" not in [c["name"] for c in world.commands[None].values()]
    with pytest.raises(ClientRefused):
        await court.tess.slash("admin status", channel=court.hall)
    status = await court.admin("status")
    assert "idle" in status
    assert "In 2 servers" in status


async def test_a_former_team_member_may_no_more(court: Court) -> None:
    team = court.playground.core.world.team
    dev = court.playground.user("dev")
    assert "free on disk" in await court.admin("status", by=dev)
    [own] = [member for member in team if member.account is dev]
    team.remove(own)
    try:
        assert NOT_ALLOWED in await court.admin("status", by=dev)
    finally:
        team.append(own)


async def test_an_entry_is_switched_off_at_once_and_whatever_the_files_say(court: Court) -> None:
    ada, bot = court.playground.user("ada-entries"), court.bot

    async def offered() -> list[str | int | float]:
        return [c.value for c in await ada.autocomplete("imagine", "model", "", prompt="x")]

    async def suggested(command: str, kind: str) -> list[str | int | float]:
        found = await court.tess.autocomplete(
            f"admin entry {command}", "key", "", channel=court.office, kind=kind
        )
        return [choice.value for choice in found]

    assert "second" in await offered()
    assert "velvet" not in await suggested("disable", "adapter")  # not age-restricted
    assert "switched off" in await court.admin("entry disable", kind="model", key="second")
    assert "second" not in await offered()
    models = bot.home.catalog_dir / "models.toml"
    models.write_text(models.read_text("utf-8").replace("Second model", "Two"), encoding="utf-8")
    reloaded = await court.admin("reload")
    assert "**Changed (1):** `second`" in reloaded
    assert "second" not in await offered()
    assert "already" in await court.admin("entry disable", kind="model", key="second")
    assert "no `nothing`" in await court.admin("entry disable", kind="model", key="nothing")
    assert "velvet" not in await court.admin("entry disable", kind="adapter", key="velvet")
    listed = await court.admin("entry list")
    assert "`second`" in listed
    assert "velvet" not in listed
    assert "LoRA for age-restricted channels" in listed
    assert await suggested("enable", "model") == ["second"]
    assert "on again" in await court.admin("entry enable", kind="model", key="second")
    assert "on again" in await court.admin("entry enable", kind="adapter", key="velvet")
    assert "second" in await offered()
    line = await court.told("disabled an entry of the catalog: LoRA for age-restricted")
    assert f"<@{court.tess.id}>" in line.content
    assert line.mentions == set()


async def test_the_last_model_stays(court: Court) -> None:
    for key in ("second", "bright", "adults"):
        await court.admin("entry disable", kind="model", key=key)
    assert "only model" in await court.admin("entry disable", kind="model", key="demo")
    for key in ("second", "bright", "adults"):
        await court.admin("entry enable", kind="model", key=key)


async def test_a_blocked_person_is_refused_everywhere_and_stops_waiting(court: Court) -> None:
    playground, eve = court.playground, court.playground.user("eve")
    image = await painted(eve, **QUICK, channel=court.office)
    await court.tess.slash("pause", channel=court.office)
    waiting = await eve.slash("imagine", **QUICK, channel=court.hall)
    assert "can't use me anywhere" in await court.admin("block user", user=eve)
    await waiting.wait(lambda m: BLOCKED in m.text)
    assert BLOCKED in await said(await eve.slash("imagine", **QUICK, channel=court.hall))
    assert BLOCKED in await outcome(
        forged(playground, eve, court.office, image, "same", job_of(image))
    )
    assert await eve.autocomplete("imagine", "model", "", prompt="x") == []
    assert f"<@{eve.id}>" in await court.admin("block list")
    assert "blocked already" in await court.admin("block user", user=eve)
    assert "no longer blocked" in await court.admin("unblock user", user=eve)
    await court.tess.slash("resume", channel=court.office)
    await painted(eve, **QUICK, channel=court.hall)
    assert "owner of this bot" in await court.admin("block user", user=playground.user("dev"))


async def test_managers_block_for_their_server_alone(court: Court) -> None:
    mia, fox = court.mod("mia"), court.playground.user("fox")
    with pytest.raises(ClientRefused):
        await fox.slash("moderate list", channel=court.hall)
    done = await said(await mia.slash("moderate block", user=fox, channel=court.hall))
    assert "can't use me in this server" in done
    assert BLOCKED_HERE in await said(await fox.slash("imagine", **QUICK, channel=court.hall))
    await painted(fox, **QUICK, channel=court.office)
    assert f"<@{fox.id}>" in await said(await mia.slash("moderate list", channel=court.hall))
    line = await court.told(f"<@{mia.id}> blocked <@{fox.id}>", court.log)
    assert line.mentions == set()
    other = court.mod("mo")
    assert "moderates" in await said(
        await mia.slash("moderate block", user=other, channel=court.hall)
    )
    assert "yourself" in await said(await mia.slash("moderate block", user=mia, channel=court.hall))
    await said(await mia.slash("moderate unblock", user=fox, channel=court.hall))
    await painted(fox, **QUICK, channel=court.hall)


async def test_an_owner_lets_anyone_start_over_whoever_set_the_limit(court: Court) -> None:
    playground = court.playground
    keeper, gus = playground.user("keeper"), playground.user("gus")
    playground.give_role(
        keeper, playground.add_role("keepers", "manage_guild", guild=court.hall.guild)
    )
    room = playground.add_channel("counted", court.hall.guild)
    limit: dict[str, Any] = {"level": "channel", "name": "quota", "value": "1"}
    await said(await keeper.slash("settings set", **limit, channel=room))
    await painted(gus, **QUICK, channel=room)
    assert "over the limit" in await said(await gus.slash("imagine", **QUICK, channel=room))
    other = court.mod("moderates the hall")
    assert NOT_ALLOWED in await outcome(
        command(court, other, court.office, "reset", "user", user=str(gus.id))
    )
    assert "can start over" in await court.admin("reset user", user=gus)
    assert "Nothing that" in await court.admin("reset user", user=gus)
    line = await court.told(f"<@{court.tess.id}> let <@{gus.id}> start over")
    assert line.mentions == set()
    await painted(gus, **QUICK, channel=room)
    assert "over the limit" in await said(await gus.slash("imagine", **QUICK, channel=room))


async def test_in_a_blocked_server_nothing_is_done(court: Court) -> None:
    playground = court.playground
    guild = playground.add_guild("bad place")
    room = playground.add_channel("room", guild)
    ann = playground.user("ann")
    image = await painted(ann, **QUICK, channel=room)
    assert "IMAGEN_ADMIN_SERVERS" in await court.admin(
        "block server", server=str(playground.guild.id)
    )
    assert "bad place" in await court.admin("block server", server=str(guild.id))
    for name in ("imagine", "queue", "models"):
        options = QUICK if name == "imagine" else {}
        assert SERVER_BLOCKED in await said(await ann.slash(name, channel=room, **options))
    assert SERVER_BLOCKED in await outcome(
        forged(playground, ann, room, image, "details", job_of(image))
    )
    assert "What I keep" in str((await ann.slash("privacy", channel=room)).message)
    sure = await (await ann.slash("forget", channel=room)).wait(lambda m: bool(m.components))
    forgotten = await ann.click(sure, "Delete for good")
    await forgotten.wait(lambda m: m.content.startswith("Done"), timeout=60)
    assert await ann.autocomplete("imagine", "model", "", channel=room, prompt="x") == []
    await painted(ann, **QUICK, channel=court.hall)
    assert "bad place" in await court.admin("server leave", server=str(guild.id))
    assert guild.id not in playground.core.world.guilds
    await court.told("made the bot leave the server `bad place`")
    assert "no server with the ID 5" in await court.admin("server leave", server="5")


async def test_two_moderators_decide_a_report_once(court: Court) -> None:
    playground, ada = court.playground, court.playground.user("ada-reported")
    mods = [court.mod("mod-a"), court.mod("mod-b")]
    image = await painted(ada, **QUICK, channel=court.hall)
    job_id = job_of(image)
    report = await court.reported("rita", image, court.log)
    assert report.mentions == set()
    buttons = {part["custom_id"] for row in report.components for part in row["components"]}
    [delete] = [each for each in buttons if each.endswith(":deleted")]
    [dismiss] = [each for each in buttons if each.endswith(":dismissed")]
    stranger = playground.user("stranger")
    assert NOT_MODERATING in await outcome(pressed(court, stranger, court.hall, delete))
    # A moderator of another server, with the id of the button.
    manager = playground.user("manager")
    assert NOT_MODERATING in await outcome(pressed(court, manager, court.office, delete))
    calls = await asyncio.gather(mods[0].click(report, delete), mods[1].click(report, dismiss))
    await playground.wait_for(lambda: not report.components)
    late = [call for call in calls if call.followups]
    await playground.wait_for(lambda: any(call.followups for call in calls))
    late = [call for call in calls if call.followups]
    assert len(late) == 1
    assert "was faster" in late[0].followups[0].content
    winner = mods[1] if late[0].user is mods[0] else mods[0]
    assert f"by <@{winner.id}>" in report.content
    [(deleted_at,)] = court.bot.home.rows(f"SELECT deleted_at FROM jobs WHERE id = '{job_id}'")
    assert (deleted_at is not None) == (winner is mods[0])
    await court.told(f"<@{winner.id}> decided a report", court.log)


async def test_a_moderators_deletion_and_block_reach_the_audit_channel(court: Court) -> None:
    playground, ada, mod = court.playground, court.playground.user("ada-bad"), court.mod("mod-c")
    image = await painted(ada, **QUICK, channel=court.hall)
    other = await painted(ada, **QUICK, channel=court.hall)
    asked = await answer_to(forged(playground, mod, court.hall, other, "delete", job_of(other)))
    await mod.click(asked, f"erase:{job_of(other)}")
    await court.told(f"<@{mod.id}> deleted an image that <@{ada.id}>", court.log)
    report = await court.reported("rob", image, court.log)
    own = await painted(mod, **QUICK, channel=court.hall)
    about_mod = await court.reported("rob-m", own, court.log)
    for judge, why in ((mod, "yourself"), (court.mod("mod-e"), "moderates this server")):
        press = await judge.click(about_mod, "Block")
        assert why in (await press.wait_followup()).content
    assert about_mod.components
    await mod.click(report, "Block")
    await court.told(f"<@{mod.id}> blocked <@{ada.id}>", court.log)
    assert BLOCKED_HERE in await said(await ada.slash("imagine", **QUICK, channel=court.hall))
    await painted(ada, **QUICK, channel=court.office)
    await playground.wait_for(lambda: "Person blocked" in report.content)
    await mod.click(report, "Delete")
    await playground.wait_for(lambda: not report.components)
    assert "**Deleted**" in report.content
    await playground.wait_for(lambda: image.deleted or not image.attachments)


async def answer_to(call: Interaction) -> Message:
    await call.start()
    return await answer(call)


async def test_without_an_audit_channel_the_owners_decide(court: Court) -> None:
    playground, ada = court.playground, court.playground.user("ada-owner")
    image = await painted(ada, **QUICK, channel=court.office)
    dm = playground.dm(court.tess)
    report = await court.reported("rob-b", image, dm)
    shown = await playground.wait_message(lambda m: "The reported image" in m.text, dm)
    assert len(shown.attachments) == 1
    assert '"spoiler": true' in json.dumps(shown.components)
    press = await court.tess.click(report, "Delete")
    await playground.wait_for(lambda: not report.components)
    assert "Deleted" in report.content
    assert press.followups == []
    await playground.wait_for(lambda: image.deleted or not image.attachments)
    await playground.wait_for(lambda: shown.deleted)


async def test_owners_see_what_is_reported_only_where_it_may_be_shown(court: Court) -> None:
    playground = court.playground
    cave = playground.add_channel("cave", court.office.guild, nsfw=True)
    image = await painted(playground.user("ada-gated"), **QUICK, channel=cave)
    await court.reported("rob-g", image, playground.dm(court.tess))
    told = await court.told("only for age-restricted channels, so I can't")
    assert told.attachments == []


async def test_in_quiet_hours_requests_wait(court: Court) -> None:
    now = datetime.now(UTC)
    hours = {
        "start": f"{now - timedelta(hours=1):%H:%M}",
        "end": f"{now + timedelta(hours=2):%H:%M}",
        "zone": "UTC",
    }
    call = await court.tess.slash_options("admin quiet set", hours, channel=court.office)
    assert "quiet now" in (await answer(call)).text
    ada = court.playground.user("ada-quiet")
    waiting = await ada.slash("imagine", **QUICK, channel=court.office)
    await waiting.wait(lambda m: "Quiet hours" in m.text and "I'll go on" in m.text)
    assert "Quiet hours" in await embed_of(ada, court.office)
    # What is set meanwhile holds for what waits already.
    told = {}
    for name, value in (("paint", "no"), ("forced_spoiler", "yes")):
        place = court.playground.add_channel(f"quiet-{name}", court.office.guild)
        told[name] = await ada.slash("imagine", **QUICK, channel=place)
        await told[name].wait(lambda m: "Quiet hours" in m.text)
        options = {"level": "channel", "name": name, "value": value}
        await answer(await court.tess.slash("settings set", channel=place, **options))
    wrong = await court.tess.slash_options(
        "admin quiet set", {"start": "25:00", "end": "7:00"}, channel=court.office
    )
    assert "isn't a time" in (await answer(wrong)).text
    assert "no quiet hours" in await court.admin("quiet off")
    await waiting.wait(lambda m: bool(m.attachments))
    await told["paint"].wait(lambda m: "is turned off in this channel" in m.text)
    blurred = await told["forced_spoiler"].wait(lambda m: bool(m.attachments))
    assert gallery(blurred)[0]["spoiler"]


async def embed_of(user: User, channel: Channel) -> str:
    call = await user.slash("queue", channel=channel)
    return (await call.wait()).text


async def test_draining_takes_nothing_new_until_it_is_undone(court: Court) -> None:
    ada = court.playground.user("ada-drain")
    assert "no new requests" in await court.admin("drain begin")
    assert "about to be updated" in await said(
        await ada.slash("imagine", **QUICK, channel=court.office)
    )
    await court.told("prepared an update: `state: empty`")
    assert "Taking no new requests" in await court.admin("status")
    assert "again" in await court.admin("drain undo")
    await painted(ada, **QUICK, channel=court.office)


async def test_a_refusing_channel_is_said_and_told_later(court: Court) -> None:
    """The last one: it ends the bot's process, twice."""
    playground, bot, mod = court.playground, court.bot, court.mod("mod-late")
    gil = playground.user("gil")
    playground.deny(court.log, "send_messages")
    await said(await mod.slash("moderate block", user=gil, channel=court.hall))
    await until(lambda: "takes no messages" in bot.log)
    assert str(court.hall.guild.id) in await court.admin("status")  # type: ignore[union-attr]
    assert "takes no messages in its audit channel" in await court.admin("server list")
    hall = court.hall.guild
    assert hall is not None
    hall.members[mod.id].role_ids.append(
        playground.add_role("chief", "manage_guild", guild=hall).id
    )
    shown = await answer(await mod.slash("settings server", channel=court.hall))
    [select] = [p for p in parts(shown) if p.get("custom_id") == "settinggroup:server"]
    await mod.select(shown, select["custom_id"], ["messages"])
    assert "audit channel takes no messages from me" in shown.text
    # A note to every server, and an end in the middle of it.
    for n in range(4):
        guild = playground.add_guild(f"noted {n}")
        playground.set_system_channel(playground.add_channel("system", guild))
    playground.set_system_channel(court.hall)
    opened = await court.tess.slash("admin broadcast", channel=court.office)
    preview = await answer(await court.tess.submit(opened, {"text": "Back at nine."}))
    assert "Back at nine." in preview.content
    send = preview.components[0]["components"][0]["custom_id"]
    sent = await court.tess.click(preview, send)
    await sent.wait(lambda m: "On its way" in m.content)

    def notes() -> list[Message]:
        every = (m for c in playground.core.world.channels.values() for m in c.messages.values())
        return [m for m in every if "Back at nine." in m.content and not m.ephemeral]

    await playground.wait_for(notes)
    await bot.end(signal.SIGKILL)
    playground.allow(court.log, "send_messages")
    await bot.start()
    # Five of them have a channel to write in.
    await playground.wait_for(lambda: len(notes()) == 5)
    await court.told(f"<@{mod.id}> blocked <@{gil.id}>", court.log)
    twice = pressed(court, court.tess, court.office, send)
    await twice.start()
    await playground.wait_for(lambda: twice.followups)
    assert "sent already" in twice.followups[0].content
    other = playground.user("dev")
    assert "no longer have" in await outcome(pressed(court, other, court.office, send))
    assert len({note.channel.id for note in notes()}) == len(notes()) == 5
    assert BLOCKED_HERE in await said(await gil.slash("imagine", **QUICK, channel=court.hall))
    assert "then stop" in await court.admin("drain begin", stop=True)
    assert await bot.wait() == 0
    await court.told("prepared an update: `state: stop`")
