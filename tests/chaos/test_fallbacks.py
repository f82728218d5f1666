"""Each way to deliver when Discord refuses the one before; and Discord being down altogether."""

from typing import Any

import pytest

from playground import Interaction, Message, Playground, User
from playground.errors import ApiError, Dropped
from tests.chaos.harness import ChaosHome, LightBot, until

pytestmark = pytest.mark.long


CHANNEL_EDIT = r"/channels/\d+/messages/\d+$"
SLOW: dict[str, Any] = {"steps": 20}
"""Enough time to arrange that the result is refused."""


async def shown(playground: Playground, call: Interaction) -> Message:
    """The message of `call` once it has the image."""
    assert call.message is not None
    found = call.message.id
    return await playground.wait_message(lambda m: m.id == found and bool(m.attachments))


@pytest.mark.long
async def test_each_way_is_tried_when_the_one_before_is_refused(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    # The interaction has expired, so its message is edited through the channel.
    call = await ada.slash("imagine", prompt="x", **SLOW)
    call.dead = True
    await shown(playground, call)

    # That is refused too, so it comes as a reply that mentions the user.
    call = await ada.slash("imagine", prompt="x", **SLOW)
    call.dead = True
    playground.fail_next("PATCH", CHANNEL_EDIT, 403, 50001, "Missing Access", times=9)
    reply = await playground.wait_message(lambda m: m.reference == call.original.id)  # type: ignore[union-attr]
    assert reply.attachments
    assert reply.mentions == {ada.id}
    playground.core.faults._waiting.clear()

    # Nothing can be posted there any more, so it comes as a direct message.
    closed = playground.add_channel("closed")
    call = await ada.slash("imagine", prompt="x", channel=closed, **SLOW)
    call.dead = True
    playground.deny(closed, "view_channel", "send_messages")
    direct = await playground.wait_message(lambda m: bool(m.attachments), playground.dm(ada))
    assert f"<#{closed.id}>" in direct.text

    # The channel may also be deleted.
    gone = playground.add_channel("gone")
    call = await ada.slash("imagine", prompt="x", channel=gone, **SLOW)
    call.dead = True
    playground.delete_channel(gone)
    await playground.wait_for(lambda: len(playground.messages(playground.dm(ada))) == 2)

    # No direct messages either: the image is kept.
    bob = playground.user("bob")
    playground.close_direct_messages(bob)
    call = await bob.slash("imagine", prompt="x", channel=playground.add_channel("closing"), **SLOW)
    call.dead = True
    playground.deny(call.channel, "view_channel", "send_messages")
    await until(
        lambda: home.rows("SELECT told_at IS NOT NULL FROM jobs WHERE state = 'failed'") == [(1,)]
    )
    [(path, code)] = home.rows(
        "SELECT path, json_extract(error, '$.code') FROM jobs JOIN images ON job_id = id"
        " WHERE state = 'failed'"
    )
    assert code == "delivery.forbidden"
    assert (home.data_dir / "images" / path).is_file()
    assert "kept in the history: delivery.forbidden" in bot.log
    assert (await bot.figures())['imagen_failures_total{reason="delivery.forbidden"}'] == 1
    assert "Traceback" not in bot.log
    assert playground.violations == []


class Outage:
    """Discord answers with 503 only, or not at all."""

    def __init__(self, *, silent: bool = False) -> None:
        self._silent = silent

    def before(self, method: str, path: str) -> ApiError | None:
        if self._silent:
            return Dropped()
        return ApiError(503, 0, "503: Service Unavailable", expected=True)

    def after(self, method: str, path: str) -> ApiError | None:
        return None


@pytest.mark.long
async def test_painting_goes_on_while_discord_is_away_and_results_leave_in_order(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    calls = [await ada.slash("imagine", prompt="x", steps=10) for _ in range(6)]
    playground.set_weather(Outage())
    playground.drop_gateway()
    await until(lambda: home.states() == ["done"] * 6)
    assert not any(call.message.attachments for call in calls)  # type: ignore[union-attr]
    assert (await bot.figures())["imagen_outbox_length"] == 6
    playground.set_weather(None)
    messages = [await shown(playground, call) for call in calls]
    arrived = [message.edits[-1][0] for message in messages]
    assert arrived == sorted(arrived)
    await until(lambda: home.states() == ["delivered"] * 6)
    assert (await bot.figures())["imagen_outbox_length"] == 0

    # And it starts before Discord can be reached.
    calls = [await ada.slash("imagine", prompt="x", steps=30) for _ in range(2)]
    await bot.end()
    assert home.states()[-2:] == ["pending"] * 2
    playground.set_weather(Outage(silent=True))
    await bot.start(online=False)
    await until(lambda: home.states()[-2:] == ["done"] * 2)
    assert "cannot log in" in bot.log
    playground.set_weather(None)
    for call in calls:
        await shown(playground, call)
    await until(lambda: set(home.states()) == {"delivered"})
    assert "Traceback" not in bot.log
    assert playground.violations == []
