"""Asking which part of an image is painted anew: which image, which of its squares."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import discord

from bot.chat.ui.custom_id import CustomId, JobId, Routed
from bot.chat.ui.picking import select_view
from bot.files.grid import SQUARES
from bot.texts.language import Say


class PartOfId(JobId):
    """Shows the squares of an image of a job's result; the value is its number."""

    prefix = "partof"


@dataclass(frozen=True)
class PartSquaresId(CustomId):
    """Opens the form for squares of image `n`; the values are their names."""

    prefix: ClassVar[str] = "partsquares"

    job_id: str
    n: int


@dataclass(frozen=True)
class PartFormId(CustomId):
    """Paints squares of image `n` anew. squares: a bit for each, A1 the lowest, as four hex digits:
    as text, since an old form must open whatever becomes of the names."""

    prefix: ClassVar[str] = "partform"

    job_id: str
    n: int
    bits: str

    @classmethod
    def of(cls, job_id: str, n: int, squares: Collection[str]) -> Self:
        """For these squares, by name. Raises ValueError for a name that is none, or for none."""
        bits = sum(1 << SQUARES.index(name) for name in {*squares})
        if not bits:
            raise ValueError("no square is named")
        return cls(job_id, n, f"{bits:04x}")

    @property
    def squares(self) -> tuple[str, ...]:
        """Their names. Raises ValueError if `bits` are not those of any."""
        bits = int(self.bits, 16)
        if not 0 < bits < 1 << len(SQUARES):
            raise ValueError(f"bits {self.bits!r}: not of 1 to {len(SQUARES)} squares")
        return tuple(name for place, name in enumerate(SQUARES) if bits >> place & 1)


def images_view(say: Say, job_id: str, images: Sequence[int]) -> discord.ui.View:
    """Which of several images. images: their numbers, from 0."""
    options = [
        discord.SelectOption(label=say("form.words.image_n", image=n + 1), value=str(n))
        for n in images
    ]
    return select_view(PartOfId(job_id), options)


def squares_view(say: Say, job_id: str, n: int) -> discord.ui.View:
    """Which squares of image `n`: one, several, or all."""
    view = discord.ui.View(timeout=None)
    options = [discord.SelectOption(label=name, value=name) for name in SQUARES]
    select = discord.ui.Select[Any](
        custom_id=str(PartSquaresId(job_id, n)),
        options=options,
        placeholder=say("pick.squares"),
        max_values=len(options),
    )
    view.add_item(Routed(select))
    return view
