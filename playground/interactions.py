"""Interactions: https://docs.discord.com/developers/interactions/receiving-and-responding.

An ``Interaction`` is what a user starts with a command, button, select or form. Its fields are
those of ``InteractionState``; the code here sends it to the bot and waits for the responses.
"""

import base64
import secrets
import time
from collections.abc import Callable
from typing import Any

from playground import installs, payloads, resolved
from playground.accounts import Account
from playground.core import Core
from playground.errors import NotAcknowledged
from playground.state import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL,
    Channel,
    InteractionState,
    Message,
)

JsonObject = dict[str, Any]

# Callback types.
REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE, CHOICES, FORM = 4, 5, 6, 7, 8, 9
ALLOWED: dict[int, frozenset[int]] = {
    COMMAND: frozenset({REPLY, DEFER_REPLY, FORM}),
    COMPONENT: frozenset({REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE, FORM}),
    AUTOCOMPLETE: frozenset({CHOICES}),
    MODAL: frozenset({REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE}),
}


class Interaction(InteractionState):
    """One interaction as tests see it: its state, and ways to wait for changes."""

    def __init__(
        self,
        core: Core,
        kind: int,
        user: Account,
        channel: Channel,
        data: JsonObject,
        *,
        source: Message | None = None,
        parent: InteractionState | None = None,
        focused_type: int = 3,
    ) -> None:
        identifier = core.world.snowflakes.next()
        secret = f"interaction:{identifier}:{secrets.token_urlsafe(96)}"
        token = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
        super().__init__(identifier, token, kind, user, channel, data, source, parent, focused_type)
        self._core = core

    def payload(self) -> JsonObject:
        """INTERACTION_CREATE as the gateway sends it."""
        core, channel = self._core, self.channel
        answer: JsonObject = {
            "id": str(self.id),
            "application_id": str(core.world.application_id),
            "type": self.type,
            "token": self.token,
            "version": 1,
            "data": self.data,
            "channel_id": str(channel.id),
            "channel": resolved.channel(channel, self.user),
            "app_permissions": str(installs.app_permissions(channel, core.world.bot)),
            "locale": self.user.locale,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": installs.owners_of(self, core.world.bot),
            "context": installs.context_of(channel),
            "attachment_size_limit": core.attachment_size_limit,
        }
        guild = channel.guild
        if guild is None:
            answer["user"] = payloads.user(self.user)
        else:
            answer |= {
                "guild_id": str(guild.id),
                "guild_locale": guild.locale,
                "guild": {"id": str(guild.id), "locale": guild.locale, "features": []},
                "member": resolved.member(guild.members[self.user.id], channel),
            }
        if self.source is not None:
            answer["message"] = payloads.message(self.source, core.world)
        return answer

    async def start(self) -> None:
        """Send it to the bot and wait until the bot acknowledges it. Raises NotAcknowledged."""
        core = self._core
        core.interactions[self.token] = self
        self.created = time.monotonic()
        core.gateway.emit("INTERACTION_CREATE", self.payload(), guild=self.channel.guild)
        try:
            await core.signal.wait_for(
                lambda: self.acknowledged, core.ack_deadline, lambda: "not acknowledged"
            )
        except TimeoutError:
            online = "the bot is online" if core.gateway.online else "the bot is OFFLINE"
            raise NotAcknowledged(
                f"{self}: the bot did not answer within {core.ack_deadline:g} s; {online}; "
                f"violations: {core.violations[-3:] or 'none'}"
            ) from None

    async def wait(
        self, satisfied: Callable[[Message], bool] = lambda _: True, timeout: float = 60
    ) -> Message:
        """Wait for the original response to satisfy a condition. Raises TimeoutError."""

        def look() -> Message | None:
            message = self.message
            return message if message is not None and satisfied(message) else None

        return await self._core.signal.wait_for(
            look, timeout, lambda: f"after {timeout:g} s {self} is still not as expected"
        )

    async def wait_followup(
        self, satisfied: Callable[[Message], bool] = lambda _: True, timeout: float = 60
    ) -> Message:
        """Wait for the first follow-up that satisfies a condition. Raises TimeoutError."""
        return await self._core.signal.wait_for(
            lambda: next((m for m in self.followups if satisfied(m)), None),
            timeout,
            lambda: f"after {timeout:g} s no follow-up as expected: {self.followups}",
        )
