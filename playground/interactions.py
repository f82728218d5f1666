"""Interactions: https://docs.discord.com/developers/interactions/receiving-and-responding.

An ``Interaction`` is what a person began by a command, a button, a select or a form. It is also
the handle that tests hold.
"""

import base64
import secrets
import time
from collections.abc import Callable
from typing import Any

from playground import payloads, permissions
from playground.core import Core
from playground.errors import NotAcknowledged
from playground.state import Account, Channel, ChannelType, Message

JsonObject = dict[str, Any]

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5
# Callback types.
REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE, CHOICES, FORM = 4, 5, 6, 7, 8, 9
ALLOWED: dict[int, frozenset[int]] = {
    COMMAND: frozenset({REPLY, DEFER_REPLY, FORM}),
    COMPONENT: frozenset({REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE, FORM}),
    AUTOCOMPLETE: frozenset({CHOICES}),
    MODAL: frozenset({REPLY, DEFER_REPLY, DEFER_UPDATE, UPDATE}),
}


class Interaction:
    """One interaction, live: it changes as the bot answers.

    ``message`` is the original response once it shows something, None while the bot is thinking;
    ``modal`` the form the bot opened; ``choices`` what it offered to an autocomplete;
    ``followups`` its further messages; ``ack_ms`` the time to the acknowledgement.
    """

    def __init__(
        self,
        core: Core,
        kind: int,
        user: Account,
        channel: Channel,
        data: JsonObject,
        *,
        source: Message | None = None,
        parent: "Interaction | None" = None,
        focused_type: int = 3,
    ) -> None:
        self._core = core
        self.id = core.world.snowflakes.next()
        secret = f"interaction:{self.id}:{secrets.token_urlsafe(96)}"
        self.token = base64.urlsafe_b64encode(secret.encode()).decode().rstrip("=")
        self.type = kind
        self.user = user
        self.channel = channel
        self.data = data
        self.source = source
        self.parent = parent
        self.focused_type = focused_type
        self.created = time.monotonic()
        self.dead = False
        self.acknowledged: int | None = None
        self.ack_ms: float | None = None
        self.original: Message | None = None
        self.modal: JsonObject | None = None
        self.choices: list[JsonObject] | None = None
        self.followups: list[Message] = []

    @property
    def message(self) -> Message | None:
        original = self.original
        if original is None or original.loading or original.deleted:
            return None
        return original

    @property
    def ephemeral(self) -> bool:
        """Whether only the one who asked sees the original response, be it still thinking."""
        return self.original is not None and self.original.ephemeral

    @property
    def deferred(self) -> bool:
        """Whether the bot is "thinking…"."""
        return self.original is not None and self.original.loading

    @property
    def command_name(self) -> str | None:
        """The full name of the slash command (``group sub``), None for anything else."""
        if self.type != COMMAND:
            return None
        names = [self.data["name"]]
        options = self.data.get("options") or []
        while options and options[0]["type"] in (1, 2):
            names.append(options[0]["name"])
            options = options[0].get("options") or []
        return " ".join(names)

    def owners(self) -> JsonObject:
        """Who installed the app here: key 0 a guild, 0 for a private channel."""
        guild = self.channel.guild
        return {"0": str(guild.id) if guild else "0"}

    def metadata(self) -> JsonObject:
        """``interaction_metadata`` of the messages that answer it."""
        answer: JsonObject = {
            "id": str(self.id),
            "type": self.type,
            "user": payloads.user(self.user),
            "authorizing_integration_owners": self.owners(),
        }
        if self.type == COMPONENT and self.source is not None:
            answer["interacted_message_id"] = str(self.source.id)
        if self.type == MODAL and self.parent is not None:
            answer["triggering_interaction_metadata"] = self.parent.metadata()
        return answer

    def payload(self) -> JsonObject:
        """INTERACTION_CREATE as the gateway sends it."""
        core, channel = self._core, self.channel
        private = channel.type is ChannelType.DM
        answer: JsonObject = {
            "id": str(self.id),
            "application_id": str(core.world.application_id),
            "type": self.type,
            "token": self.token,
            "version": 1,
            "data": self.data,
            "channel_id": str(channel.id),
            "channel": payloads.interaction_channel(channel, self.user),
            "app_permissions": str(permissions.of(core.world.bot, channel)),
            "locale": self.user.locale,
            "entitlements": [],
            "entitlement_sku_ids": [],
            "authorizing_integration_owners": self.owners(),
            "context": 1 if private else 0,
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
                "member": payloads.interaction_member(guild.members[self.user.id], channel),
            }
        if self.source is not None:
            answer["message"] = payloads.message(self.source, core.world)
        return answer

    async def start(self) -> None:
        """Send it to the bot and return once the bot acknowledged it, else NotAcknowledged."""
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

    def acknowledge(self, kind: int) -> None:
        """Note the callback, however late."""
        self.acknowledged = kind
        self.ack_ms = (time.monotonic() - self.created) * 1000
        self._core.signal.notify()

    async def wait(
        self, satisfied: Callable[[Message], bool] = lambda _: True, timeout: float = 60
    ) -> Message:
        """The original response once it shows something that satisfies; TimeoutError after."""

        def look() -> Message | None:
            message = self.message
            return message if message is not None and satisfied(message) else None

        return await self._core.signal.wait_for(
            look, timeout, lambda: f"after {timeout:g} s {self} is still not as expected"
        )

    async def wait_followup(
        self, satisfied: Callable[[Message], bool] = lambda _: True, timeout: float = 60
    ) -> Message:
        """The first follow-up message that satisfies; TimeoutError after."""
        return await self._core.signal.wait_for(
            lambda: next((m for m in self.followups if satisfied(m)), None),
            timeout,
            lambda: f"after {timeout:g} s no follow-up as expected: {self.followups}",
        )

    def __repr__(self) -> str:
        kinds = {2: "command", 3: "component", 4: "autocomplete", 5: "form"}
        name = self.command_name or self.data.get("custom_id") or self.data.get("name")
        state = "not acknowledged"
        if self.acknowledged is not None:
            state = f"acknowledged with {self.acknowledged}"
        return f"<{kinds[self.type]} {name!r} by {self.user.name}: {state}, {self.original}>"
