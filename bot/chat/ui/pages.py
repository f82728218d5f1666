"""What lists share: pages and how to turn them, and what is said of a LoRA in a few words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import discord

from bot.chat.ui.custom_id import CustomId, Routed
from bot.request import nameable
from bot.texts.language import Say
from catalog import UNKNOWN, AdapterEntry, AdapterFacts, Catalog, Misfit

PER_PAGE = 6
VALUE_MAX = 700  # six of them stay under the 6,000 characters of one message

T = TypeVar("T")


def cut(entries: Sequence[T], page: int, size: int = PER_PAGE) -> tuple[Sequence[T], int, int]:
    """The entries of `page`, its number clamped to the range (from 0), and the page count.

    size: entries of a page.
    """
    pages = max(1, -(-len(entries) // size))
    page = max(0, min(page, pages - 1))
    return entries[page * size : (page + 1) * size], page, pages


@dataclass(frozen=True)
class PageId(CustomId):
    """A page, from 0, of what matches `search`. Each list has its own class with a `prefix`."""

    page: int
    search: str = ""


def turning_view(say: Say, shown: PageId, pages: int) -> discord.ui.View:
    """The buttons to the pages before and after the one that is shown, if there are several."""
    view = discord.ui.View(timeout=None)
    if pages > 1:
        for to, label in ((shown.page - 1, "pages.previous"), (shown.page + 1, "pages.next")):
            button = discord.ui.Button[discord.ui.View](
                label=say(label),
                custom_id=str(replace(shown, page=to)),
                disabled=not 0 <= to < pages,
            )
            view.add_item(Routed(button))
    return view


def misfit_mark(say: Say, entry: AdapterEntry, why: Misfit, catalog: Catalog, *, nsfw: bool) -> str:
    """A few words on why a LoRA does not fit.

    nsfw: whether models that are marked so may be named.
    """
    if why.kind == "models":
        models = ", ".join(nameable(catalog.kept_to(entry.key), catalog, nsfw=nsfw))
        return say("loras.other_model", models=models) if models else say("loras.misfit")
    if why.kind == "base":
        return say("loras.other_base", base=why.found)
    return say("loras.unsupported", family=why.found)


def kind(say: Say, facts: AdapterFacts) -> list[str]:
    """Its algorithm, rank and base model, as far as the file tells."""
    family = [] if facts.algorithm == UNKNOWN else [facts.algorithm]
    rank = [] if facts.rank is None else [say("loras.rank", rank=facts.rank)]
    return [*family, *rank, *filter(None, [facts.base])]
