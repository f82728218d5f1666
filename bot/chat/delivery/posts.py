"""Posts: the ways to edit one message, or to send one."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from typing import Any, Protocol, Self, TypeAlias, cast

import discord

from bot.chat.delivery.refusals import NO_HISTORY
from bot.chat.delivery.uploads import Upload
from bot.store import now_ms

Layout: TypeAlias = Callable[[str | None], discord.ui.LayoutView]
NONCE_MAX = 25
ORIGINAL = cast("int", "@original")
"""Stands for the id of the original response (docs, receiving-and-responding)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageContent:
    """What a message should hold. `mention` is the only user it may ping.

    layout: builds the whole message of components, below a heading; None for one with an embed.
    Discord lets a message with an embed become one of components, but not back.
    text: above the embed, or the heading of the layout.
    direct: replaces `text` in the direct message sent when the channel refuses; None: send none.
    notice: what everyone is told instead, if only the person may see it.
    direct_embed, direct_layout: replace `embed` and `layout` there; None for the same.
    """

    embed: discord.Embed | None = None
    view: discord.ui.View | None = None
    layout: Layout | None = None
    text: str | None = None
    uploads: Sequence[Upload] = ()
    alt_text: str = ""
    mention: int | None = None
    direct: str | None = None
    notice: str | None = None
    direct_embed: discord.Embed | None = None
    direct_layout: Layout | None = None

    @property
    def parts(self) -> dict[str, Any]:
        """What discord.py's methods take for it, apart from the files."""
        if self.layout is not None:
            return {"content": None, "embed": None, "view": self.layout(self.text)}
        return {"content": self.text, "embed": self.embed, "view": self.view}

    def directly(self) -> Self:
        """The same as a direct message."""
        return replace(
            self,
            text=self.direct,
            embed=self.direct_embed or self.embed,
            layout=self.direct_layout or self.layout,
        )

    def files(self) -> list[discord.File]:
        """New file objects on each call: discord.py closes those it has sent."""
        return [
            discord.File(BytesIO(upload.data), upload.name, description=self.alt_text)
            for upload in self.uploads
        ]

    @property
    def largest(self) -> int:
        """Bytes of the largest file."""
        return max((len(upload.data) for upload in self.uploads), default=0)

    def mentions(self) -> discord.AllowedMentions:
        return only(self.mention)


def notice(text: str) -> MessageContent:
    """`text` in the place of a result."""

    def layout(_: str | None) -> discord.ui.LayoutView:
        view = discord.ui.LayoutView(timeout=None)
        view.add_item(discord.ui.TextDisplay(text))
        return view

    return MessageContent(layout=layout)


def mention(user_id: int) -> str:
    """Markup that names a user; `only` decides whether it pings."""
    return f"<@{user_id}>"


def only(user_id: int | None) -> discord.AllowedMentions:
    """Allowed mentions that ping this user only, or no one for None."""
    users = [discord.Object(user_id)] if user_id else []
    return discord.AllowedMentions(everyone=False, roles=False, users=users, replied_user=False)


def answering(client: discord.Client, token: str) -> discord.Webhook:
    """Answers an interaction by its token alone, so it also works after a restart."""
    return discord.Webhook.partial(client.application_id or 0, token, client=client)


class Post(Protocol):
    """A message of ours. `edit` returns its id; both raise what discord.py raises."""

    async def edit(self, content: MessageContent) -> int: ...

    async def delete(self) -> None: ...


@dataclass(frozen=True, slots=True)
class InteractionPost:
    """An interaction's original response: editable with its token, whatever the permissions.

    webhook: of the interaction; its token is a secret. good_to: expiry, in ms since the epoch.
    """

    webhook: discord.Webhook = field(repr=False)
    good_to: int

    @property
    def alive(self) -> bool:
        return now_ms() < self.good_to

    async def edit(self, content: MessageContent) -> int:
        message = await self.webhook.edit_message(
            ORIGINAL,
            **content.parts,
            attachments=content.files(),
            allowed_mentions=content.mentions(),
        )
        return message.id

    async def delete(self) -> None:
        await self.webhook.delete_message(ORIGINAL)


@dataclass(frozen=True, slots=True)
class ChannelPost:
    """One of our messages, edited through its channel for as long as it exists."""

    message: discord.PartialMessage

    async def edit(self, content: MessageContent) -> int:
        message = await self.message.edit(
            **content.parts,
            attachments=content.files(),
            allowed_mentions=content.mentions(),
        )
        return message.id

    async def delete(self) -> None:
        await self.message.delete()


async def send(
    channel: discord.abc.Messageable,
    content: MessageContent,
    *,
    nonce: str,
    reply_to: discord.MessageReference | None = None,
) -> discord.Message:
    """Send a new message; for a repeated `nonce` Discord returns the first one (docs, message).

    Where it may not be a reply to `reply_to`, it is a plain message: a reply needs the permission
    to read the message history.
    """

    def post() -> Callable[..., Awaitable[discord.Message]]:
        return partial(
            channel.send,
            **content.parts,
            files=content.files(),
            allowed_mentions=content.mentions(),
            nonce=nonce[:NONCE_MAX],
        )

    if reply_to is None:
        return await post()()
    try:
        return await post()(reference=reply_to)
    except discord.HTTPException as error:
        if error.code != NO_HISTORY:
            raise
        return await post()()
