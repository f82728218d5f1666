"""A user with a Discord client, driven by tests."""

import time
from dataclasses import dataclass
from typing import Any

from playground import (
    components,
    forms,
    limits,
    messages,
    payloads,
    permissions,
    resolved,
    threads,
    uploads,
)
from playground.accounts import Account, Role
from playground.core import Core, Upload
from playground.errors import ClientRefused
from playground.interactions import Interaction
from playground.options import Picker
from playground.rest import reactions
from playground.snowflake import made_at
from playground.state import (
    AUTOCOMPLETE,
    COMMAND,
    COMPONENT,
    MODAL,
    Attachment,
    Channel,
    ChannelType,
    Message,
)

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Choice:
    """One suggestion of an autocomplete."""

    name: str
    value: str | int | float


class User(Account):
    """A user. Every method does what a click or keystroke does, over the gateway."""

    def __init__(self, core: Core, identifier: int, name: str, home: Channel) -> None:
        super().__init__(identifier, name)
        self._core = core
        self._home = home

    async def slash(
        self, command: str, /, *, channel: Channel | None = None, **options: Any
    ) -> Interaction:
        """Send a slash command (``"group sub"``) and wait until it is acknowledged.

        Raises NotAcknowledged after 3 s, ClientRefused for what Discord's client would not send.
        User, role and channel options take the objects, a file option ``File(name, bytes)``. For
        an option that is itself called ``channel``, use ``slash_options``.
        """
        return await self.slash_options(command, options, channel=channel)

    async def slash_options(
        self, command: str, options: dict[str, Any], *, channel: Channel | None = None
    ) -> Interaction:
        """As ``slash``, with the options in a dictionary."""
        where = self._where(channel)
        data, _ = self._picker(where).slash(command, options)
        return await self._begin(Interaction(self._core, COMMAND, self, where, data))

    async def autocomplete(
        self,
        command: str,
        option: str,
        typed: str | float,
        /,
        *,
        channel: Channel | None = None,
        **options: Any,
    ) -> list[Choice]:
        """Type into an option; returns the bot's suggestions. Raises NotAcknowledged after 3 s."""
        return await self.autocomplete_options(command, option, typed, options, channel=channel)

    async def autocomplete_options(
        self,
        command: str,
        option: str,
        typed: str | float,
        options: dict[str, Any],
        *,
        channel: Channel | None = None,
    ) -> list[Choice]:
        """As ``autocomplete``, with the other options in a dictionary."""
        where = self._where(channel)
        data, focus = self._picker(where).slash(command, options, (option, typed))
        kind = focus["type"] if focus else 3
        call = Interaction(self._core, AUTOCOMPLETE, self, where, data, focused_type=kind)
        await call.start()
        return [Choice(c["name"], c["value"]) for c in call.choices or []]

    async def context_menu(
        self, name: str, target: Message | Account, *, channel: Channel | None = None
    ) -> Interaction:
        """Use a context menu command (*Apps*) on a message or a user."""
        if isinstance(target, Message):
            self._must_see(target)
            if target.ephemeral:
                raise ClientRefused("ephemeral messages have no context menu commands")
            channel = target.channel
        where = self._where(channel)
        data = self._picker(where).context_menu(name, target)
        return await self._begin(Interaction(self._core, COMMAND, self, where, data))

    async def click(self, message: Message, button: str) -> Interaction:
        """Press the button with this custom id, label or emoji."""
        entry = self._component(message, button, frozenset({components.BUTTON}))
        if "custom_id" not in entry:
            raise ClientRefused(f"{button!r} is a link to {entry.get('url')}; it sends nothing")
        data = {"custom_id": entry["custom_id"], "component_type": entry["type"]}
        data["id"] = entry["id"]
        return await self._press(message, data)

    async def select(self, message: Message, custom_id: str, values: list[Any]) -> Interaction:
        """Choose ``values`` (values or labels; users, roles, channels as objects) in a select."""
        entry = self._component(message, custom_id, components.SELECTS)
        data: JsonObject = {
            "custom_id": entry["custom_id"],
            "component_type": entry["type"],
            "id": entry["id"],
        }
        named: JsonObject = {}
        chosen = self._values(entry, values, message.channel, named)
        data["values"] = forms.choose(custom_id, entry, chosen)
        if named:
            data["resolved"] = named
        return await self._press(message, data)

    async def submit(self, call: Interaction, values: dict[str, Any]) -> Interaction:
        """Fill in the form that ``call`` opened and send it.

        A field takes what ``select`` takes; a file upload a list of ``File(name, bytes)``, a
        checkbox True or False, a text input text. Others keep their defaults.
        """
        if call.modal is None:
            raise ClientRefused(f"{call} opened no form")
        if call.user is not self:
            raise ClientRefused(f"the form was opened for {call.user.name}, not {self.name}")
        fields = forms.inputs(call.modal)
        named: JsonObject = {}
        given = {
            name: self._values(fields.get(name, {}), value, call.channel, named)
            for name, value in values.items()
        }
        data: JsonObject = {
            "custom_id": call.modal["custom_id"],
            "components": forms.fill(call.modal, given),
        }
        if named:
            data["resolved"] = named
        submitted = Interaction(
            self._core, MODAL, self, call.channel, data, source=call.source, parent=call
        )
        return await self._begin(submitted)

    async def react(self, message: Message, emoji: str) -> None:
        """Add a reaction."""
        self._must_see(message)
        if message.ephemeral:
            raise ClientRefused("ephemeral messages cannot have reactions")
        self._must_be_active(message.channel)
        needed = ["read_message_history"]
        if emoji not in message.reactions:
            needed.append("add_reactions")
        self._must_be_allowed(message.channel, *needed)
        reactions.add(self._core, self, message, emoji)

    async def unreact(self, message: Message, emoji: str) -> None:
        """Remove a reaction."""
        self._must_see(message)
        self._must_be_active(message.channel)
        reactions.remove(self._core, self, message, emoji)

    async def delete(self, message: Message) -> None:
        """Delete a message of one's own, or another's where one may manage messages."""
        self._must_see(message)
        if message.ephemeral:
            raise ClientRefused("ephemeral messages are dismissed, not deleted")
        if message.author is not self:
            self._must_be_allowed(message.channel, "manage_messages")
        threads.require_deletable(self, message.channel)
        messages.delete(self._core, message, by_test=True)

    async def say(
        self,
        channel: Channel,
        text: str,
        *,
        reply_to: Message | None = None,
        files: tuple[tuple[str, bytes], ...] = (),
    ) -> Message:
        """Write a message."""
        self._must_be_allowed(self._where(channel), permissions.sending(channel))
        self._must_be_open(channel)
        if len(text) > limits.CONTENT:
            raise ClientRefused(f"{len(text)} characters; the limit is {limits.CONTENT}")
        if not (text.strip() or files):
            raise ClientRefused("an empty message cannot be sent")
        uploaded = {n: Upload(name, data) for n, (name, data) in enumerate(files)}
        kind = 19 if reply_to is not None else 0
        threads.enter(self._core, self, channel)
        self._must_wait(channel)
        return messages.new(
            self._core, channel, self, {"content": text}, uploaded, kind=kind, reference=reply_to
        )

    # How the client finds things.

    def _where(self, channel: Channel | None) -> Channel:
        where = channel or self._home
        if where.id not in self._core.world.channels:
            raise ClientRefused(f"{where} does not exist any more")
        if where.guild is not None and self.id not in where.guild.members:
            raise ClientRefused(f"{self.name} is not in {where.guild}")
        self._must_be_allowed(where, "view_channel")
        if where.guild is None and self not in (where.recipient, *where.people):
            raise ClientRefused(f"{where} is not a DM with {self.name}")
        return where

    def _must_be_open(self, channel: Channel) -> None:
        """There is a place to type in, and components can be used."""
        if channel.type is ChannelType.FORUM:
            raise ClientRefused(f"{channel} is a forum: it has posts, no messages")
        if threads.closed_to(self, channel):
            raise ClientRefused(f"{channel} is locked")

    def _must_wait(self, channel: Channel) -> None:
        """In slow mode, some seconds between two messages."""
        free = any(
            permissions.has(self, channel, name) for name in ("manage_messages", "manage_channels")
        )
        own = [m.id for m in channel.messages.values() if m.author is self]
        since = time.time() - made_at(max(own)) if own and not free else channel.slowmode
        if since < channel.slowmode:
            raise ClientRefused(f"{channel} is in slow mode: {channel.slowmode} s between messages")

    @staticmethod
    def _must_be_active(channel: Channel) -> None:
        if channel.archived:
            raise ClientRefused(f"{channel} is archived")

    def _must_be_allowed(self, channel: Channel, *needed: str) -> None:
        for name in needed:
            if not permissions.has(self, channel, name):
                raise ClientRefused(f"{self.name} has no {name} in {channel}")

    def _picker(self, where: Channel) -> Picker:
        def upload(name: str, data: bytes) -> Attachment:
            return self._upload(where, name, data)

        return Picker(self._core.world, self, where, upload)

    def _upload(self, where: Channel, name: str, data: bytes) -> Attachment:
        return uploads.store(self._core, where.id, Upload(name, data), ephemeral=True)

    async def _begin(self, call: Interaction) -> Interaction:
        """Send it; the client first opens an archived thread again, as it does for a message.

        In a locked one it offers nothing but context menu commands.
        """
        menu = call.type == COMMAND and call.data["type"] != 1
        if not menu:
            self._must_be_open(call.channel)
        if call.channel.archived and not threads.closed_to(self, call.channel):
            self._must_be_allowed(call.channel, permissions.sending(call.channel))
            threads.enter(self._core, self, call.channel)
        await call.start()
        return call

    async def _press(self, message: Message, data: JsonObject) -> Interaction:
        parent = message.interaction
        pressed = Interaction(
            self._core, COMPONENT, self, message.channel, data, source=message, parent=parent
        )
        return await self._begin(pressed)

    def _must_see(self, message: Message) -> None:
        if message.deleted or message.id not in message.channel.messages:
            raise ClientRefused(f"{message} does not exist any more")
        if message.viewer is not None and message.viewer is not self:
            raise ClientRefused(f"{message} is only visible to {message.viewer.name}")
        self._where(message.channel)

    def _component(self, message: Message, wanted: str, kinds: frozenset[int]) -> JsonObject:
        self._must_see(message)
        entries = [c for c in components.interactive(message.components) if c["type"] in kinds]

        def matches(entry: JsonObject) -> bool:
            emoji = (entry.get("emoji") or {}).get("name")
            label = entry.get("label") or entry.get("placeholder")
            return wanted in (entry.get("custom_id"), label, emoji, f"{emoji} {label}")

        entry = next((e for e in entries if matches(e)), None)
        if entry is None:
            names = "; ".join(components.name_of(e) for e in entries) or "none"
            raise ClientRefused(f"{message} has no component {wanted!r}; it has: {names}")
        if entry.get("disabled"):
            raise ClientRefused(f"{components.name_of(entry)!r} is disabled")
        return entry

    def _values(self, entry: JsonObject, given: Any, where: Channel, named: JsonObject) -> Any:
        """What the client sends for a choice: ids for objects and files, which it resolves."""
        kind = entry.get("type")
        if kind == components.FILE_UPLOAD:
            return [self._attach(where, file, named) for file in given]
        if kind not in components.ENTITY_SELECTS:
            return given
        for value in given:
            self._must_be_offered(entry, value, where)
            resolved.add(named, value, where, self)
        return [str(value.id) for value in given]

    def _attach(self, where: Channel, file: tuple[str, bytes], named: JsonObject) -> str:
        stored = self._upload(where, *file)
        shown = payloads.attachment(stored)
        named.setdefault("attachments", {})[str(stored.id)] = shown
        return str(stored.id)

    @staticmethod
    def _must_be_offered(entry: JsonObject, value: Any, where: Channel) -> None:
        kinds: dict[int, tuple[type, ...]] = {
            components.USER_SELECT: (Account,),
            components.ROLE_SELECT: (Role,),
            components.MENTIONABLE_SELECT: (Account, Role),
            components.CHANNEL_SELECT: (Channel,),
        }
        if not isinstance(value, kinds[entry["type"]]):
            wanted = " or ".join(kind.__name__.lower() for kind in kinds[entry["type"]])
            raise ClientRefused(f"{entry['custom_id']!r}: {value!r} is not an offered {wanted}")
        types = entry.get("channel_types")
        if isinstance(value, Channel) and types and int(value.type) not in types:
            raise ClientRefused(
                f"{entry['custom_id']!r}: {value} is of type {int(value.type)}, not {types}"
            )
