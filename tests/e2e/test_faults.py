"""Failures between the bot and Discord, provoked on purpose."""

from typing import Any

import pytest

from playground import Playground, User
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot
from tests.e2e.results import facts, lines
from tests.e2e.test_imagine import painted
from tests.e2e.test_reroll import answer

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

SLOW: dict[str, Any] = {"size": "256x256", "steps": 20}


async def test_a_killed_gateway_connection_resumes(playground: Playground, ada: User) -> None:
    identified, resumed = playground.gateway_identifies, playground.gateway_resumes
    call = await ada.slash("imagine", prompt=CANARY, **SLOW)
    playground.drop_gateway()
    missed = await playground.wait_message(lambda m: m.id == call.message.id)  # type: ignore[union-attr]
    await playground.wait_for(lambda: playground.gateway_resumes > resumed)
    assert playground.gateway_identifies == identified
    await playground.wait_message(lambda m: m.id == missed.id and bool(m.attachments), timeout=60)
    await ada.react(missed, "🎲")
    await answer(playground, missed)


async def test_an_invalid_session_identifies_anew(playground: Playground, ada: User) -> None:
    identified = playground.gateway_identifies
    playground.invalidate_session()
    await playground.wait_for(lambda: playground.gateway_identifies > identified)
    await playground.wait_online()
    await painted(ada, prompt=CANARY)


async def test_an_expired_token_falls_back_to_the_channel(
    playground: Playground, ada: User
) -> None:
    call = await ada.slash("imagine", prompt=CANARY, **SLOW)
    assert call.message is not None
    playground.expire_interactions()
    message = await playground.wait_message(
        lambda m: m.id == call.message.id and bool(m.attachments),  # type: ignore[union-attr]
        timeout=60,
    )
    assert "seed `" in facts(message)


@pytest.mark.long
async def test_a_deleted_status_gets_a_new_message(playground: Playground, ada: User) -> None:
    call = await ada.slash("imagine", prompt=CANARY, **SLOW)
    assert call.message is not None
    playground.delete_message(call.message)
    message = await playground.wait_message(
        lambda m: f"<@{ada.id}>" in m.text and bool(m.attachments), timeout=60
    )
    assert message.mentions == {ada.id}
    await ada.react(message, "🎲")
    await answer(playground, message)


@pytest.mark.long
async def test_a_deleted_channel_and_missing_permissions_lead_to_a_direct_message(
    shared: Bot, playground: Playground, ada: User
) -> None:
    gone = playground.add_channel("gone")
    await ada.slash("imagine", prompt=CANARY, channel=gone, **SLOW)
    playground.expire_interactions()
    playground.delete_channel(gone)
    closed = playground.add_channel("closed")
    await ada.slash("imagine", prompt=CANARY, channel=closed, **SLOW)
    playground.deny(closed, "send_messages", "attach_files", "view_channel")
    playground.expire_interactions()
    direct = playground.dm(ada)
    await playground.wait_for(lambda: len(playground.messages(direct)) == 2, timeout=60)
    assert all(message.attachments for message in playground.messages(direct))
    assert "Traceback" not in shared.log


async def test_without_permission_to_react_the_result_still_comes(
    playground: Playground, ada: User
) -> None:
    quiet = playground.add_channel("quiet")
    playground.deny(quiet, "add_reactions")
    call = await ada.slash("imagine", prompt=CANARY, channel=quiet)
    await call.wait(lambda m: bool(m.attachments), timeout=60)


async def test_over_the_limit_it_is_sent_as_webp_and_says_so(
    shared: Bot, playground: Playground, ada: User
) -> None:
    original = await painted(ada, prompt=CANARY, seed=5, size="128x128")
    assert original.attachments[0].filename.endswith(".png")
    usual = playground.attachment_size_limit
    playground.attachment_size_limit = original.attachments[0].size // 8
    try:
        small = await painted(ada, prompt=CANARY, seed=5, size="128x128")
    finally:
        playground.attachment_size_limit = usual
    assert small.attachments[0].filename == "demo-5.webp"
    assert small.attachments[0].size <= original.attachments[0].size // 8
    assert "Sent as WebP" in small.text
    [(path,)] = shared.home.rows("SELECT path FROM images ORDER BY rowid DESC LIMIT 1")
    kept = (shared.home.data_dir / "images" / path).read_bytes()
    assert kept == await playground.download(original.attachments[0])


async def test_too_large_for_discord_after_all_is_shrunk(playground: Playground, ada: User) -> None:
    playground.fail_next("PATCH", r"/webhooks/.+/messages/@original", 413, 40005, "too large")
    message = await painted(ada, prompt=CANARY, size="128x128")
    assert message.attachments[0].filename.endswith(".webp")


async def test_rate_limits_and_hiccups_delay_but_lose_nothing(
    playground: Playground, ada: User
) -> None:
    playground.rate_limit_next("PATCH", r"/webhooks/.+/messages/@original", retry_after=0.2)
    await painted(ada, prompt=CANARY)
    playground.fail_next("PATCH", r"/webhooks/.+/messages/@original", 503)
    await painted(ada, prompt=CANARY)


async def test_a_lost_acknowledgement_loses_no_job(playground: Playground, ada: User) -> None:
    playground.fail_next("POST", r"/interactions/.+/callback", 404, 10062, "Unknown interaction")
    with pytest.raises(Exception, match="ack"):
        await ada.slash("imagine", prompt=f"{CANARY} nevertheless")
    message = await playground.wait_message(
        lambda m: "nevertheless" in m.text and bool(m.attachments), timeout=60
    )
    assert message.mentions == {ada.id}
    # It looked whether another copy of the bot had answered.
    [looked] = playground.violations
    assert looked.startswith("GET")
    assert "10015" in looked
    playground.violations.clear()


async def test_a_lost_answer_to_the_acknowledgement_makes_no_second_message(
    playground: Playground, ada: User
) -> None:
    before = len(playground.messages(playground.channel))
    playground.lose_answer_next("POST", r"/interactions/.+/callback")
    message = await painted(ada, prompt=CANARY)
    assert len(playground.messages(playground.channel)) == before + 1
    await ada.react(message, "🔁")
    await answer(playground, message)
    # discord.py repeated the request; the stand-in reports it as a double acknowledgement.
    assert all("40060" in violation for violation in playground.violations)
    playground.violations.clear()


async def test_a_message_that_discord_rejects_is_told_in_its_place(
    playground: Playground, ada: User
) -> None:
    for method, path in (
        ("PATCH", r"/webhooks/.+/messages/@original"),
        ("PATCH", r"/channels/\d+/messages/\d+$"),
        ("POST", r"/channels/\d+/messages$"),
    ):
        playground.fail_next(method, path, 400, 50035, "Invalid Form Body")
    call = await ada.slash("imagine", prompt=CANARY)
    message = await call.wait(lambda m: m.embeds[0].get("color") == 0xE74C3C, timeout=60)
    assert "Discord rejected the message" in message.text


async def test_a_long_row_of_brackets_holds_nobody_up(playground: Playground, ada: User) -> None:
    text = "[" * 700 + "](" * 640
    message = await painted(ada, prompt=f"{CANARY} {text}", negative=text)
    assert "…" in lines(message)[0]


async def test_pings_in_a_prompt_ping_nobody(playground: Playground, ada: User) -> None:
    bea = playground.user("bea-pinged")
    original = await painted(ada, prompt=f"{CANARY} @everyone <@{bea.id}>")
    assert original.mentions == set()
    await ada.react(original, "🔁")
    assert (await answer(playground, original)).mentions == {ada.id}
