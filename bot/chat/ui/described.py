"""The words for an image, below them what wrote them, and the image small beside them."""

from collections.abc import Sequence
from typing import Final

import discord

from bot.chat.ui.actions import Rows, action_rows
from bot.chat.ui.markdown import cut_off, one_line, seen
from bot.chat.ui.messages import alt_text
from bot.chat.ui.result import NOTES_SHOWN
from bot.store import Job
from bot.texts.language import Say

BLOCK: Final = "```"
NAME_SHOWN: Final = 80


def described_layout(
    say: Say,
    job: Job,
    *,
    files: Sequence[str],
    name: str,
    notes: Sequence[str] = (),
    heading: str | None = None,
    spoiler: bool = False,
    compact: bool = False,
    actions: Rows,
) -> discord.ui.LayoutView:
    """A description as a message, its words in a block that can be copied.

    files: the name of the attachment with the image; none if that is gone. name: of what wrote it.
    notes, heading, spoiler, compact, actions: as of any result.
    """
    words = job.words or ""
    view = discord.ui.LayoutView(timeout=None)
    if heading:
        view.add_item(discord.ui.TextDisplay(heading))
    inside = seen(words).replace(BLOCK, "'''")
    block = f"{BLOCK}\n{inside}\n{BLOCK}"
    if files:
        picture = discord.ui.Thumbnail[discord.ui.LayoutView](
            f"attachment://{files[0]}", description=alt_text(words), spoiler=spoiler
        )
        view.add_item(discord.ui.Section(block, accessory=picture))
    else:
        view.add_item(discord.ui.TextDisplay(block))
    if not compact:
        view.add_item(discord.ui.TextDisplay(f"-# {style_line(say, job, name)}"))
    if notes:
        said = discord.ui.TextDisplay[discord.ui.LayoutView](cut_off("\n".join(notes), NOTES_SHOWN))
        view.add_item(discord.ui.Container(said, accent_colour=discord.Colour.gold()))
    for row in action_rows(say, job.id, actions):
        view.add_item(row)
    return view


def style_line(say: Say, job: Job, name: str) -> str:
    """`**Florence-2-base** · in detail`."""
    style = job.request.describe.style if job.request.describe else ""
    return f"**{one_line(name, NAME_SHOWN)}** · {say(f'describe.styles.{style}')}"
