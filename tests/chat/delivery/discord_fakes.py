"""A fake Discord of a few classes: it records calls and refuses those that it is told to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import discord

from bot.store import now_ms
from bot.store.origins import DISCORD_EPOCH
from tests.chat.found import found_here

CHANNEL, DIRECT = 20, 21
OLD = 20 * 60 * 1000
"""Milliseconds after which an interaction expires."""


def http_error(status: int, code: int = 0) -> discord.HTTPException:
    kinds: dict[int, type[discord.HTTPException]] = {
        403: discord.Forbidden,
        404: discord.NotFound,
        503: discord.DiscordServerError,
    }
    response: Any = SimpleNamespace(status=status, reason="said the fake")
    return kinds.get(status, discord.HTTPException)(response, {"code": code, "message": "no"})


@dataclass
class Call:
    """way: `ack`, `interaction`, `erase`, `edit`, `delete`, `send`, `direct` or `reaction`."""

    way: str
    message_id: int
    sent: dict[str, Any]

    @property
    def embed(self) -> discord.Embed:
        embed = self.sent["embed"]
        assert isinstance(embed, discord.Embed)
        return embed

    @property
    def layout(self) -> discord.ui.LayoutView:
        view = self.sent["view"]
        assert isinstance(view, discord.ui.LayoutView)
        assert self.sent["content"] is None
        assert self.sent["embed"] is None
        return view

    @property
    def heading(self) -> str | None:
        """What stands above the embed or the images."""
        if not isinstance(self.sent["view"], discord.ui.LayoutView):
            content = self.sent["content"]
            return None if content is None else str(content)
        first = self.layout.children[0]
        return first.content if isinstance(first, discord.ui.TextDisplay) else None

    @property
    def words(self) -> str:
        """All text of a result."""
        shown = self.layout.walk_children()
        return "\n".join(one.content for one in shown if isinstance(one, discord.ui.TextDisplay))

    @property
    def gallery(self) -> list[discord.MediaGalleryItem]:
        """The images that a result shows."""
        shown = self.layout.walk_children()
        return [
            item for one in shown if isinstance(one, discord.ui.MediaGallery) for item in one.items
        ]

    @property
    def files(self) -> list[discord.File]:
        return [*self.sent.get("attachments", ()), *self.sent.get("files", ())]


@dataclass
class World:
    """refusals: for each way, what the next calls raise; None for one that works."""

    calls: list[Call] = field(default_factory=list)
    refusals: dict[str, list[Exception | None]] = field(default_factory=dict)
    before: Callable[[Call], Any] | None = None
    next_id: int = 500
    news: asyncio.Event = field(default_factory=asyncio.Event)
    webhooks: dict[str, "FakeInteraction"] = field(default_factory=dict)
    history: list[Any] = field(default_factory=list)

    async def called(self) -> None:
        """Wait for the next call."""
        self.news.clear()
        await self.news.wait()

    def refuse(self, way: str, *errors: Exception | None) -> None:
        self.refusals.setdefault(way, []).extend(errors)

    async def take(self, way: str, message_id: int, sent: dict[str, Any]) -> None:
        call = Call(way, message_id, sent)
        self.calls.append(call)
        self.news.set()
        if self.before is not None:
            await self.before(call)
        waiting = self.refusals.get(way)
        error = waiting.pop(0) if waiting else None
        if error is not None:
            raise error

    def new_id(self) -> int:
        self.next_id += 1
        return self.next_id

    def ways(self) -> list[str]:
        return [call.way for call in self.calls if call.way != "reaction"]

    @property
    def reactions(self) -> list[str]:
        return [call.sent["emoji"] for call in self.calls if call.way == "reaction"]


@dataclass
class FakeMessage:
    world: World
    channel: "FakeChannel"
    id: int

    async def edit(self, **sent: Any) -> "FakeMessage":
        await self.world.take("edit", self.id, sent)
        return self

    async def delete(self) -> None:
        await self.world.take("delete", self.id, {})

    async def add_reaction(self, emoji: str) -> None:
        await self.world.take("reaction", self.id, {"emoji": emoji})

    def to_reference(self, *, fail_if_not_exists: bool) -> discord.MessageReference:
        return discord.MessageReference(
            message_id=self.id, channel_id=self.channel.id, fail_if_not_exists=fail_if_not_exists
        )


@dataclass
class FakeChannel:
    world: World
    id: int
    way: str = "send"

    def get_partial_message(self, message_id: int) -> FakeMessage:
        return FakeMessage(self.world, self, message_id)

    async def send(self, **sent: Any) -> FakeMessage:
        message_id = self.world.new_id()
        await self.world.take(self.way, message_id, sent)
        return FakeMessage(self.world, self, message_id)

    async def history(self, **asked: Any) -> AsyncIterator[Any]:
        for message in self.world.history:
            yield message


@dataclass
class FakeClient:
    world: World

    user: Any = None

    def get_partial_messageable(
        self, channel_id: int, *, guild_id: int | None = None
    ) -> FakeChannel:
        return FakeChannel(self.world, channel_id)

    def get_channel(self, channel_id: int) -> None:
        """None is known: as before the connection."""

    async def create_dm(self, user: discord.Object) -> FakeChannel:
        return FakeChannel(self.world, DIRECT, "direct")


@dataclass
class FakeInteraction:
    world: World
    channel_id: int = CHANNEL
    message_id: int = 400
    expired: bool = False
    deferred: bool = False
    answer: Any = None
    """The message that answers it, whoever sent that."""
    message: Any = None
    """That of the component that was used."""

    def __post_init__(self) -> None:
        self.extras = found_here()
        self.token = f"token-{len(self.world.webhooks)}"
        self.world.webhooks[self.token] = self

    @property
    def id(self) -> int:
        return (now_ms() - (OLD if self.expired else 0) - DISCORD_EPOCH) << 22

    @property
    def response(self) -> "FakeInteraction":
        return self

    async def send_message(self, **sent: Any) -> Any:
        await self.world.take("ack", self.message_id, sent)
        return SimpleNamespace(message_id=self.message_id)

    def is_done(self) -> bool:
        return self.deferred

    @property
    def type(self) -> discord.InteractionResponseType | None:
        """Of its response."""
        return discord.InteractionResponseType.deferred_channel_message if self.deferred else None

    async def original_response(self) -> Any:
        if self.answer is None:
            raise http_error(404, 10015)
        return self.answer

    async def edit_original_response(self, **sent: Any) -> Any:
        await self.world.take("interaction", self.message_id, sent)
        return SimpleNamespace(id=self.message_id)

    async def edit_message(self, message_id: object, **sent: Any) -> Any:
        """Sent by the webhook of the interaction's token."""
        assert message_id == "@original"
        return await self.edit_original_response(**sent)

    async def delete_message(self, message_id: int) -> None:
        """Sent by that webhook as well."""
        await self.world.take("erase", message_id, {})


GONE, FORBIDDEN, EXPIRED = http_error(404, 10008), http_error(403, 50013), http_error(401, 50027)
TOO_LARGE, AWAY, REJECTED = http_error(413, 40005), http_error(503), http_error(400, 50035)
