"""Selects that ask which image of a result is meant, and what for."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import discord

from bot.chat.ui.custom_id import CustomId, Routed
from bot.texts.language import Say


@dataclass(frozen=True)
class UseAsId(CustomId):
    """Uses an image of a job's result; the value is `start 0` or `reference 0`."""

    prefix: ClassVar[str] = "useas"

    job_id: str


def uses_view(say: Say, job_id: str, images: Sequence[int], *, references: bool) -> discord.ui.View:
    """images: numbers, from 0. references: whether reference images are set up here."""
    several = len(images) > 1
    start = "pick.start_n" if several else "pick.start"
    reference = "pick.reference_n" if several else "pick.reference"
    roles = [("start", start), *([("reference", reference)] if references else ())]
    options = [
        discord.SelectOption(label=say(code, image=n + 1), value=f"{role} {n}")
        for role, code in roles
        for n in images
    ]
    return select_view(UseAsId(job_id), options)


def select_view(
    custom_id: CustomId, options: Sequence[discord.SelectOption], placeholder: str | None = None
) -> discord.ui.View:
    """One select, routed by its custom_id."""
    view = discord.ui.View(timeout=None)
    select = discord.ui.Select[Any](
        custom_id=str(custom_id), options=[*options], placeholder=placeholder
    )
    view.add_item(Routed(select))
    return view
