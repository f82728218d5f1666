"""What Discord's refusals mean."""

from types import SimpleNamespace
from typing import Any

import aiohttp
import discord
import pytest

from bot.chat.delivery.posts import NONCE_MAX, only
from bot.chat.delivery.refusals import Refusal, refusal
from tests.chat.delivery.desk import Desk
from tests.chat.delivery.discord_fakes import (
    GONE,
    http_error,
)
from tests.store.factories import in_channel


def page(status: int) -> discord.HTTPException:
    """An error of Cloudflare: a page, no JSON."""
    response: Any = SimpleNamespace(status=status, reason="said Cloudflare")
    return discord.HTTPException(response, "<!DOCTYPE html><title>Attention required</title>")


class TestRefusals:
    @pytest.mark.parametrize(
        ("error", "meaning"),
        [
            (http_error(404, 10003), Refusal.CLOSED),
            (http_error(404, 10008), Refusal.CLOSED),
            (http_error(401, 50027), Refusal.CLOSED),
            (http_error(403, 50001), Refusal.FORBIDDEN),
            (http_error(403, 50013), Refusal.FORBIDDEN),
            (http_error(413), Refusal.TOO_LARGE),
            (http_error(400, 40005), Refusal.TOO_LARGE),
            (http_error(401), Refusal.TRANSIENT),
            (http_error(429), Refusal.TRANSIENT),
            (http_error(500), Refusal.TRANSIENT),
            (http_error(503), Refusal.TRANSIENT),
            (discord.RateLimited(1), Refusal.TRANSIENT),
            (aiohttp.ClientPayloadError(), Refusal.TRANSIENT),
            (ConnectionResetError(), Refusal.TRANSIENT),
            (TimeoutError(), Refusal.TRANSIENT),
            (http_error(400, 50035), Refusal.REJECTED),
            # The same code means the same, whatever the status.
            *((http_error(s, 50083), Refusal.FORBIDDEN) for s in (400, 403, 404)),
            *((http_error(s, 160005), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 160002), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 50007), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 50278), Refusal.FORBIDDEN) for s in (400, 403)),
            *((http_error(s, 10003), Refusal.CLOSED) for s in (400, 403)),
            *((http_error(s, 10015), Refusal.CLOSED) for s in (400, 404)),
            *((http_error(s, 10062), Refusal.CLOSED) for s in (400, 404)),
            *((http_error(s, 50027), Refusal.CLOSED) for s in (400, 401, 403)),
            *((http_error(s, 40005), Refusal.TOO_LARGE) for s in (400, 403)),
            *((http_error(s, 200000), Refusal.BLOCKED) for s in (400, 403)),
            *((http_error(s, 130000), Refusal.TRANSIENT) for s in (400, 403)),
            *((http_error(s, 40333), Refusal.TRANSIENT) for s in (400, 403)),
            *((http_error(s, 30046), Refusal.BUSY) for s in (400, 429)),
            (http_error(403, 20028), Refusal.TRANSIENT),
            # Codes that are not known.
            (http_error(400, 999999), Refusal.UNKNOWN),
            (http_error(403, 999999), Refusal.FORBIDDEN),
            (http_error(404, 999999), Refusal.CLOSED),
            (http_error(409, 999999), Refusal.UNKNOWN),
            (http_error(520, 999999), Refusal.TRANSIENT),
            # Pages of what stands before Discord.
            *((page(s), Refusal.TRANSIENT) for s in (400, 403, 404, 429, 502, 520, 530)),
            (page(413), Refusal.TOO_LARGE),
            (ValueError(), None),
            (RuntimeError(), None),
        ],
    )
    def test_what_an_exception_means(self, error: Exception, meaning: Refusal | None) -> None:
        assert refusal(error) is meaning

    def test_nobody_is_pinged_unless_named(self) -> None:
        for user in (None, 0):
            assert only(user).to_dict() == {"parse": [], "users": [], "replied_user": False} or (
                only(user).to_dict().get("parse") == []
            )
        assert only(5).to_dict()["users"] == [5]
        assert only(5).to_dict()["parse"] == []

    async def test_nonces_are_short_enough_and_differ(self, desk: Desk) -> None:
        """Otherwise a result would come back as its own acknowledgement."""
        ticket = await desk.accepted(in_channel(reply_to=300))
        await desk.delivery.acknowledge_in_channel(ticket)
        desk.world.refuse("edit", GONE)
        await desk.delivery.finished(await desk.painted(ticket.job.id))
        nonces = [call.sent["nonce"] for call in desk.world.calls if call.way == "send"]
        assert len(set(nonces)) == 2
        assert all(len(nonce) <= NONCE_MAX for nonce in nonces)
