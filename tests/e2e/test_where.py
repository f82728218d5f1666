"""Asking for images in every kind of place, and what can be done with them there."""

from collections.abc import Callable
from typing import Any

import pytest

from bot.chat.contexts import EVERYWHERE, OFFERED
from playground import Channel, Interaction, Message, Playground, User, installs
from playground.state import ChannelType
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import buttons, job_of
from tests.e2e.test_actions import bytes_of, press, result, said
from tests.e2e.test_life import until

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

Place = Callable[[Playground, User], Channel]
QUICK: dict[str, Any] = {"prompt": CANARY, "seed": 7}
SLOW: dict[str, Any] = {"prompt": CANARY, "size": "256x256", "steps": 40}


def direct(playground: Playground, user: User) -> Channel:
    return playground.dm(user)


def abroad(playground: Playground, user: User) -> Channel:
    playground.install(user)
    return playground.add_channel("chat", playground.add_foreign_guild("another server"))


def group(playground: Playground, user: User) -> Channel:
    playground.install(user)
    return playground.add_group(user, playground.user("bea-in-groups"))


def voice(playground: Playground, user: User) -> Channel:
    return playground.add_channel("lounge", kind=ChannelType.VOICE)


def stage(playground: Playground, user: User) -> Channel:
    return playground.add_channel("talk", kind=ChannelType.STAGE)


def announcements(playground: Playground, user: User) -> Channel:
    return playground.add_channel("news", kind=ChannelType.ANNOUNCEMENT)


def post(playground: Playground, user: User) -> Channel:
    return playground.add_post(playground.add_forum("showcase"), "Foxes", "here").channel


def thread(playground: Playground, user: User) -> Channel:
    return playground.add_thread(playground.channel, "sketches")


def slow(playground: Playground, user: User) -> Channel:
    channel = playground.add_channel("slow")
    playground.set_slowmode(channel, 3_600)
    return channel


REACHED = (direct, voice, announcements, post)
"""Places where the bot can write, and gets reactions."""
UNREACHED = (abroad, group)
"""Those where it can only answer."""


async def painted_in(place: Channel, user: User, **options: Any) -> Message:
    return await result(await user.slash("imagine", channel=place, **{**QUICK, **options}))


async def too_late(playground: Playground, user: User, place: Channel) -> Interaction:
    """An image whose interaction expires before it is ready: as soon as it is acknowledged."""
    call = await user.slash("imagine", channel=place, **QUICK)
    playground.expire_interactions()
    return call


def only_in(playground: Playground, place: Channel) -> list[Message]:
    return [message for message in playground.messages(place) if not message.ephemeral]


@pytest.mark.parametrize("place", [*REACHED, *UNREACHED])
async def test_an_image_and_the_same_again(playground: Playground, ada: User, place: Place) -> None:
    where = place(playground, ada)
    original = await painted_in(where, ada)
    assert original.channel is where
    again = await result(await press(ada, original, "same"))
    assert again.channel is where
    assert "byte for byte" in again.text
    assert await bytes_of(playground, again) == await bytes_of(playground, original)
    assert (await press(ada, original, "details")).ephemeral
    asked = await press(ada, original, "delete")
    assert asked.message is not None
    await ada.click(asked.message, "Delete for good")
    await asked.wait(lambda m: m.content == "Deleted.")
    assert original.deleted


@pytest.mark.parametrize("place", [stage, slow])
async def test_an_image(playground: Playground, ada: User, place: Place) -> None:
    assert (await painted_in(place(playground, ada), ada)).attachments


@pytest.mark.parametrize("place", [direct, post])
async def test_a_reaction_generates_it_again(
    playground: Playground, ada: User, place: Place
) -> None:
    where = place(playground, ada)
    original = await painted_in(where, ada)
    await playground.wait_for(lambda: set(original.reactions) == {"🔁", "🎲"})
    await ada.react(original, "🔁")
    again = await playground.wait_message(
        lambda m: m.reference == original.id and bool(m.attachments), where
    )
    assert "byte for byte" in again.text


async def test_where_the_bot_is_not_it_only_answers(
    shared: Bot, playground: Playground, ada: User
) -> None:
    for place in UNREACHED:
        where = place(playground, ada)
        began = len(playground.requests)
        original = await painted_in(where, ada)
        bea = playground.user("bea-in-groups")
        await result(await press(bea, original, "new"))
        sent = [r for r in playground.requests[began:] if str(where.id) in r.path]
        assert sent == []
        assert original.reactions == {}
        call = await ada.slash("imagine", channel=where, hidden=True, **QUICK)
        hidden = await result(call)
        assert hidden.ephemeral
        assert "publish" not in buttons(hidden)
        # The message of another is the other's to delete.
        asked = await press(bea, original, "delete")
        assert "Only" in said(asked)


@pytest.mark.parametrize("place", UNREACHED)
async def test_what_takes_longer_comes_as_a_direct_message_once(
    playground: Playground, place: Place
) -> None:
    ada = playground.user(f"patient-{place.__name__}")
    where = place(playground, ada)
    call = await too_late(playground, ada, where)
    assert call.message is not None
    assert "I'm not a member here" in call.message.text
    room = playground.dm(ada)
    await playground.wait_for(lambda: room.messages, timeout=60)
    [message] = room.messages.values()
    assert "You asked for this where I'm not a member" in message.text
    assert {"same", "new", "edit", "more"} <= buttons(message).keys()
    again = await result(await press(ada, message, "same"))
    assert again.channel is room
    assert len(only_in(playground, room)) == 2


async def test_without_direct_messages_it_is_kept(
    shared: Bot, playground: Playground, ada: User
) -> None:
    where = abroad(playground, ada)
    playground.close_direct_messages(ada)
    call = await too_late(playground, ada, where)
    assert call.message is not None
    job_id = job_of(call.message)
    kept = f"SELECT error FROM jobs WHERE id = '{job_id}' AND state = 'failed'"
    await until(lambda: bool(shared.home.rows(kept)))
    [(error,)] = shared.home.rows(kept)
    assert "delivery.where.kept" in error
    [(path,)] = shared.home.rows(f"SELECT path FROM images WHERE job_id = '{job_id}'")
    assert (shared.home.data_dir / "images" / path).exists()


@pytest.mark.parametrize("place", [direct, *UNREACHED])
async def test_nothing_there_is_age_restricted(
    playground: Playground, ada: User, place: Place
) -> None:
    where = place(playground, ada)
    where.nsfw = where.guild is not None
    offered = await ada.autocomplete("imagine", "model", "", channel=where)
    assert "adults" not in {choice.value for choice in offered}
    call = await ada.slash("imagine", channel=where, model="adults", **QUICK)
    assert "only available in age-restricted channels" in said(call)
    restricted = await painted_in(playground.nsfw_channel, ada)
    forged = await ada.context_menu("Again", restricted)
    await forged.wait(lambda m: bool(m.attachments))
    where.nsfw = False


def commands_in(playground: Playground, user: User, place: Channel) -> set[str]:
    """The names of what the person is offered there."""
    world = playground.core.world
    return {
        entry["name"]
        for entry in world.visible_commands(place.guild)
        if installs.refusal(entry, place, user, world) is None
    }


async def test_which_commands_are_offered_where(playground: Playground, ada: User) -> None:
    registered = {entry["name"] for entry in playground.core.world.commands[None].values()}
    assert registered <= OFFERED.keys()
    everywhere = {name for name in registered if OFFERED[name] == EVERYWHERE}
    for place in (direct, *UNREACHED):
        assert commands_in(playground, ada, place(playground, ada)) == everywhere


async def test_own_settings_in_private_but_no_servers(playground: Playground, ada: User) -> None:
    for place in (direct, *UNREACHED):
        where = place(playground, ada)
        playground.give_role(ada, playground.add_role("boss", "administrator"))
        assert (await ada.slash("settings me", channel=where)).ephemeral
        refused = await ada.slash("settings server", channel=where)
        assert "server" in said(refused)
        assert "components" not in said(refused)


async def test_the_queue_and_the_lists_in_private(playground: Playground, ada: User) -> None:
    for place in (direct, *UNREACHED):
        where = place(playground, ada)
        waiting = await ada.slash("imagine", channel=where, **SLOW)
        shown = await ada.slash("queue", channel=where)
        assert CANARY in said(shown)
        for name in ("models", "loras"):
            assert (await ada.slash(name, channel=where)).ephemeral
        stopped = await ada.slash("cancel", channel=where)
        assert stopped.message is not None
        await waiting.wait(lambda m: "Cancelled" in m.text)


def locked_and_archived(playground: Playground, place: Channel) -> None:
    playground.lock(place)
    playground.archive(place)


Change = Callable[[Playground, Channel], None]
CHANGES: dict[str, tuple[Change, str]] = {
    "nothing": (lambda pg, place: None, "there"),
    "archived": (Playground.archive, "there"),
    "locked": (Playground.lock, "direct"),
    "locked and archived": (locked_and_archived, "direct"),
    "deleted": (Playground.delete_channel, "direct"),
    "slow": (lambda pg, place: pg.set_slowmode(place, 3_600), "there"),
}
"""What happens to a thread while an image for it is generated, and where it then comes."""


@pytest.mark.parametrize("change", CHANGES)
async def test_a_thread_that_changes_meanwhile(playground: Playground, change: str) -> None:
    ada = playground.user(f"patient-{change}")
    place = thread(playground, ada)
    act, expected = CHANGES[change]
    call = await too_late(playground, ada, place)
    act(playground, place)
    room = playground.dm(ada) if expected == "direct" else place
    message = await playground.wait_message(lambda m: bool(m.attachments), room)
    assert len([m for m in only_in(playground, room) if m.attachments]) == 1
    if change == "archived":
        # An edit cannot open it again, but a new message can.
        assert not place.archived
        assert message is not call.original
