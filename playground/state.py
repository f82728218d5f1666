"""Guilds, channels, messages and interactions, as they are now.

Plain data, in ``world``. ``payloads`` turns it into Discord's JSON; ``rest`` decides who may change
it.
"""

import enum
import time
from dataclasses import dataclass, field
from typing import Any

from playground.accounts import Account, Member, Overwrite, Role

JsonObject = dict[str, Any]
# Types of interactions.
COMMAND, COMPONENT, AUTOCOMPLETE, MODAL = 2, 3, 4, 5


class ChannelType(enum.IntEnum):
    TEXT = 0
    DM = 1
    VOICE = 2
    GROUP = 3
    ANNOUNCEMENT = 5
    THREAD = 11
    STAGE = 13
    FORUM = 15


PRIVATE = frozenset({ChannelType.DM, ChannelType.GROUP})
VOCAL = frozenset({ChannelType.VOICE, ChannelType.STAGE})


class MessageFlag(enum.IntFlag):
    """https://docs.discord.com/developers/resources/message#message-object-message-flags"""

    SUPPRESS_EMBEDS = 1 << 2
    EPHEMERAL = 1 << 6
    LOADING = 1 << 7
    SUPPRESS_NOTIFICATIONS = 1 << 12
    VOICE = 1 << 13
    COMPONENTS_V2 = 1 << 15


@dataclass(eq=False)
class Attachment:
    """A file on a message, stored with its bytes."""

    id: int
    filename: str
    data: bytes
    url: str
    content_type: str
    description: str | None = None
    title: str | None = None
    width: int | None = None
    height: int | None = None
    ephemeral: bool = False

    @property
    def size(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"<{self.filename} {self.size} bytes {self.content_type}>"


@dataclass(frozen=True)
class Snapshot:
    """What a message looked like right after an edit."""

    content: str
    embeds: list[JsonObject]
    attachments: list[Attachment]
    components: list[JsonObject]

    @property
    def text(self) -> str:
        """Everything in it that can be read, to search in."""
        return f"{self.content}\n{self.embeds}\n{self.components}"


@dataclass(eq=False)
class Message:
    """A live message: it changes as the bot edits it.

    ``attachments`` are all its files; the ``attachments`` that Discord reports omit those shown by
    an embed or a component, and so do the payloads (``shown`` has their ids).
    ``mentions`` are the ids that were actually pinged: users, roles, the guild's for @everyone.
    """

    id: int
    channel: "Channel"
    author: Account
    content: str = ""
    embeds: list[JsonObject] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    components: list[JsonObject] = field(default_factory=list)
    flags: int = 0
    type: int = 0
    reference: int | None = None
    reference_channel: int | None = None
    mentions: set[int] = field(default_factory=set)
    mention_everyone: bool = False
    reactions: dict[str, set[int]] = field(default_factory=dict)
    shown: set[int] = field(default_factory=set)
    edits: list[tuple[float, Snapshot]] = field(default_factory=list)
    edited_at: float | None = None
    nonce: str | int | None = None
    interaction: "InteractionState | None" = None
    viewer: Account | None = None
    deleted: bool = False

    @property
    def channel_id(self) -> int:
        return self.channel.id

    @property
    def text(self) -> str:
        """Everything in it that can be read, to search in."""
        return f"{self.content}\n{self.embeds}\n{self.components}"

    @property
    def ephemeral(self) -> bool:
        return bool(self.flags & MessageFlag.EPHEMERAL)

    @property
    def loading(self) -> bool:
        return bool(self.flags & MessageFlag.LOADING)

    def snapshot(self) -> Snapshot:
        """The current content, frozen."""
        return Snapshot(
            self.content, list(self.embeds), list(self.attachments), list(self.components)
        )

    def record_edit(self) -> None:
        """Record an edit made just now."""
        self.edited_at = time.time()
        self.edits.append((time.monotonic(), self.snapshot()))

    def __repr__(self) -> str:
        parts = [f"<message {self.id} by {self.author.name}"]
        if self.deleted:
            parts.append("DELETED")
        if self.loading:
            parts.append("(thinking)")
        if self.ephemeral:
            parts.append("(ephemeral)")
        parts.append(f"content={self.content!r}")
        if self.embeds:
            parts.append(f"embeds={self.embeds!r}")
        if self.attachments:
            parts.append(f"attachments={self.attachments!r}")
        if self.components:
            parts.append(f"components={self.components!r}")
        return " ".join(parts) + ">"


@dataclass(eq=False)
class Channel:
    """A text, voice, stage or announcement channel, a forum, a thread or post (with ``parent``), a
    DM with the bot (``recipient``), or a group without the bot (``people``).

    ``slowmode``: seconds between two messages of a user; the bot is exempt.
    """

    id: int
    type: ChannelType
    name: str
    guild: "Guild | None" = None
    parent: "Channel | None" = None
    nsfw: bool = False
    overwrites: list[Overwrite] = field(default_factory=list)
    messages: dict[int, Message] = field(default_factory=dict)
    recipient: Account | None = None
    people: list[Account] = field(default_factory=list)
    slowmode: int = 0
    owner_id: int = 0
    archived: bool = False
    locked: bool = False

    @property
    def age_restricted(self) -> bool:
        return self.nsfw or (self.parent is not None and self.parent.nsfw)

    def __repr__(self) -> str:
        return f"<channel #{self.name} {self.id}>"


@dataclass(eq=False)
class Guild:
    """A server. ``inviter``: who added the bot. ``system_channel``: for Discord's own notices."""

    id: int
    name: str
    owner_id: int
    locale: str = "en-US"
    roles: dict[int, Role] = field(default_factory=dict)
    members: dict[int, Member] = field(default_factory=dict)
    channels: dict[int, Channel] = field(default_factory=dict)
    inviter: Account | None = None
    system_channel: Channel | None = None

    def __repr__(self) -> str:
        return f"<guild {self.name} {self.id}>"


@dataclass(eq=False)
class InteractionState:
    """The state of a command, click, selection or form: it changes as the bot responds.

    ``source``: the message whose component was used. ``original``: the original response.
    ``modal``: the form that the bot opened. ``choices``: its suggestions for an autocomplete, for
    an option of type ``focused_type``. ``followups``: its further messages. ``acknowledged``: the
    type of the callback. ``ack_ms``: the time it took. ``answered``: how often it was followed up.
    """

    id: int
    token: str
    type: int
    user: Account
    channel: Channel
    data: JsonObject
    source: Message | None = None
    parent: "InteractionState | None" = None
    focused_type: int = 3
    created: float = field(default_factory=time.monotonic)
    dead: bool = False
    acknowledged: int | None = None
    ack_ms: float | None = None
    original: Message | None = None
    modal: JsonObject | None = None
    choices: list[JsonObject] | None = None
    followups: list[Message] = field(default_factory=list)
    answered: int = 0

    @property
    def message(self) -> Message | None:
        """The original response once it has content; None while the bot is thinking."""
        original = self.original
        if original is None or original.loading or original.deleted:
            return None
        return original

    @property
    def ephemeral(self) -> bool:
        """Whether the original response is ephemeral, even while the bot is thinking."""
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

    def acknowledge(self, kind: int) -> None:
        """Record the callback, even a late one."""
        self.acknowledged = kind
        self.ack_ms = (time.monotonic() - self.created) * 1000

    def __repr__(self) -> str:
        kinds = {COMMAND: "command", COMPONENT: "component", AUTOCOMPLETE: "autocomplete"}
        name = self.command_name or self.data.get("custom_id") or self.data.get("name")
        state = "not acknowledged"
        if self.acknowledged is not None:
            state = f"acknowledged with {self.acknowledged}"
        kind = kinds.get(self.type, "form")
        return f"<{kind} {name!r} by {self.user.name}: {state}, {self.original}>"
