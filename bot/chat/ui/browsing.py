"""Pages of the catalog: models, LoRAs and embeddings with their pictures, to choose from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import unquote

import discord

from bot.chat.ui.cards import Card
from bot.chat.ui.custom_id import CUSTOM_ID_MAX, CustomId, Routed
from bot.chat.ui.forms.fields import OPTION_LENGTH, OPTIONS_MAX, TITLE_MAX
from bot.chat.ui.markdown import one_line, seen, shortened
from bot.chat.ui.messages import BLURPLE, alt_text
from bot.previews import Shelf
from bot.texts.language import Say

PER_PAGE: Final = 5
SEARCH_MAX: Final = 100
EVERYTHING: Final = "*"
"""The value of the tag select that stands for no tag; a tag may be any other text."""
WORDS: Final = "words"
"""The custom_id of the search form's field."""
_KEPT: Final = "~"
_APART: Final = "/"
_ESCAPED: Final = str.maketrans({char: f"%{ord(char):02X}" for char in "%:/~"})


@dataclass(frozen=True, slots=True)
class Filter:
    """What a list is limited to. model: key of the model that LoRAs are listed for."""

    model: str = ""
    tag: str = ""
    words: str = ""


@dataclass(frozen=True)
class ListId(CustomId):
    """A page of a list, from 0. of: its filter, see `packed`."""

    shelf: Shelf
    page: int
    of: str = ""


class TurnId(ListId):
    """Shows that page."""

    prefix = "browse"


class TagId(ListId):
    """Lists what has the tag that is picked."""

    prefix = "browsetag"


class UseId(ListId):
    """Opens the form to paint with the entry whose key is picked."""

    prefix = "browseuse"


class SearchId(ListId):
    """Opens the form to search."""

    prefix = "browsefind"


class SearchFormId(ListId):
    """Searches for what was entered."""

    prefix = "browseform"


_ROOM: Final = CUSTOM_ID_MAX - len("browseform:embeddings:99999:")


def packed(limits: Filter) -> str | None:
    """The filter as a field of a custom_id; None if it is too long."""
    fields = (limits.model, limits.tag, limits.words)
    text = _APART.join(field.translate(_ESCAPED) for field in fields).rstrip(_APART)
    return text if len(text) <= _ROOM else None


def unpacked(of: str) -> Filter:
    """The filter in such a field. Raises ValueError."""
    fields = [unquote(field) for field in of.split(_APART)]
    if len(fields) > len(Filter.__slots__):
        raise ValueError(f"{of!r}: not a filter")
    return Filter(*fields)


def kept_as(form_id: str) -> str:
    """A filter that is stored under this id, as such a field."""
    return _KEPT + form_id


def kept_in(of: str) -> str | None:
    """The id under which the filter is stored; None if the field holds it itself."""
    return of.removeprefix(_KEPT) if of.startswith(_KEPT) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One page of a list.

    of: the filter, packed. cards: of this page. pictures: names of the attachments with them, by
    key. tags: those to choose from, with how many entries have each. notes: in small print.
    """

    shelf: Shelf
    title: str
    of: str
    limits: Filter
    cards: Sequence[Card]
    page: int
    pages: int
    count: int
    tags: Sequence[tuple[str, int]] = ()
    pictures: Mapping[str, str]
    empty: str
    notes: Sequence[str] = ()


def listing_layout(say: Say, listing: Listing) -> discord.ui.LayoutView:
    """The page as a message of its own."""
    view = discord.ui.LayoutView(timeout=None)
    inside: list[discord.ui.Item[Any]] = [discord.ui.TextDisplay(_head(say, listing))]
    if listing.tags:
        inside.append(discord.ui.ActionRow[Any](_tag_select(say, listing)))
    if not listing.cards:
        inside += [discord.ui.Separator(), discord.ui.TextDisplay(listing.empty)]
    for card in listing.cards:
        inside += [discord.ui.Separator(), _entry(card, listing.pictures.get(card.key))]
    view.add_item(discord.ui.Container(*inside, accent_colour=BLURPLE))
    if listing.cards:
        view.add_item(discord.ui.ActionRow[Any](_use_select(say, listing)))
    view.add_item(_buttons(say, listing))
    return view


def search_form(say: Say, custom_id: SearchFormId, words: str) -> discord.ui.Modal:
    """words: those that were searched for before."""
    form = discord.ui.Modal(
        title=shortened(say("browse.search"), TITLE_MAX), custom_id=str(custom_id)
    )
    field = discord.ui.TextInput[discord.ui.Modal](
        custom_id=WORDS, required=False, max_length=SEARCH_MAX, default=words or None
    )
    form.add_item(discord.ui.Label(text=say("browse.words"), component=field))
    return form


def _head(say: Say, listing: Listing) -> str:
    counts = [say("browse.count", count=listing.count)]
    if listing.pages > 1:
        counts.append(say("pages.page", page=listing.page + 1, pages=listing.pages))
    if listing.limits.words:
        counts.insert(0, say("browse.searched", words=one_line(listing.limits.words)))
    lines = [f"-# {' · '.join(counts)}", *(f"-# {note}" for note in listing.notes)]
    return "\n".join([f"## {listing.title}", *lines])


def _entry(card: Card, picture: str | None) -> discord.ui.Item[Any]:
    text = discord.ui.TextDisplay[Any](card.text)
    if picture is None:
        return text
    thumbnail = discord.ui.Thumbnail[Any](
        f"attachment://{picture}", description=alt_text(card.name)
    )
    return discord.ui.Section(text, accessory=thumbnail)


def _tag_select(say: Say, listing: Listing) -> Routed:
    chosen = listing.limits.tag.casefold()
    every = say("browse.every_tag")
    options = [discord.SelectOption(label=every, value=EVERYTHING, default=not chosen)]
    shown = [*listing.tags[: OPTIONS_MAX - 1]]
    if chosen and chosen not in (tag for tag, _ in shown):
        shown[OPTIONS_MAX - 2 :] = [(chosen, listing.count)]
    options += [
        discord.SelectOption(
            label=shortened(seen(tag), OPTION_LENGTH),
            value=tag,
            description=say("browse.count", count=count),
            default=tag == chosen,
        )
        for tag, count in shown
    ]
    custom_id = str(TagId(listing.shelf, 0, listing.of))
    return Routed(discord.ui.Select[Any](custom_id=custom_id, options=options))


def _use_select(say: Say, listing: Listing) -> Routed:
    options = [
        discord.SelectOption(
            label=shortened(seen(card.name).strip() or card.key, OPTION_LENGTH),
            value=card.key,
            description=shortened(" ".join(seen(card.hint).split()), OPTION_LENGTH) or None,
        )
        for card in listing.cards
    ]
    return Routed(
        discord.ui.Select[Any](
            custom_id=str(UseId(listing.shelf, listing.page, listing.of)),
            options=options,
            placeholder=say("browse.use"),
        )
    )


def _buttons(say: Say, listing: Listing) -> discord.ui.ActionRow[Any]:
    row = discord.ui.ActionRow[Any]()
    here = TurnId(listing.shelf, listing.page, listing.of)
    if listing.pages > 1:
        for page, code in ((listing.page - 1, "pages.previous"), (listing.page + 1, "pages.next")):
            there = 0 <= page < listing.pages
            row.add_item(_button(say(code), replace(here, page=page), disabled=not there))
    search = SearchId(listing.shelf, listing.page, listing.of)
    row.add_item(
        Routed(
            discord.ui.Button[Any](label=say("browse.search"), emoji="🔎", custom_id=str(search))
        )
    )
    if listing.limits.words or listing.limits.tag:
        first = TurnId(listing.shelf, 0, packed(Filter(model=listing.limits.model)) or "")
        row.add_item(_button(say("browse.everything"), first))
    return row


def _button(label: str, to: ListId, **more: Any) -> Routed:
    return Routed(discord.ui.Button[Any](label=label, custom_id=str(to), **more))
