"""The pages of the catalog: what is on them, turning, searching and filtering by tag."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Final

import discord

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component, IdT, picked
from bot.chat.forms import entered, open_form
from bot.chat.here import Here, here_of
from bot.chat.ui.browsing import (
    EVERYTHING,
    PER_PAGE,
    WORDS,
    Filter,
    ListId,
    Listing,
    SearchFormId,
    SearchId,
    TagId,
    TurnId,
    kept_as,
    kept_in,
    listing_layout,
    packed,
    search_form,
    unpacked,
)
from bot.chat.ui.cards import Entry, Known, card_of
from bot.chat.ui.markdown import escaped, one_line
from bot.chat.ui.pages import cut
from bot.chat.ui.shelves import shelve
from bot.choosing import ADAPTER, MODEL, Kind, Uses
from bot.errors import Refused, StoreError
from bot.previews import Pictures, Shelf
from bot.request import default_model
from bot.store import Store
from bot.store.forms import Entered
from bot.texts.language import Say
from catalog import Catalog, LiveCatalog, ModelEntry, locate_entry, problems_of

KINDS: Final[dict[Shelf, Kind]] = {Shelf.MODELS: MODEL, Shelf.LORAS: ADAPTER}
SENTENCES: Final = {
    Shelf.MODELS: ("models.title", "models.empty", "models.hint"),
    Shelf.LORAS: ("loras.title", "loras.empty", "loras.hint"),
    Shelf.EMBEDDINGS: ("embeddings.title", "embeddings.empty", "embeddings.hint"),
}
FILTER: Final = "browse"
"""What a stored filter says that it is of, in place of a form's custom_id."""


class Browsing:
    """Makes the pages. loaded, loaded_adapters: keys of what is on a GPU."""

    def __init__(
        self,
        *,
        catalog: LiveCatalog,
        store: Store,
        uses: Uses,
        pictures: Pictures,
        models_dir: Path,
        loaded: Callable[[], Collection[str]],
        loaded_adapters: Callable[[], Collection[str]],
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._uses = uses
        self._pictures = pictures
        self._models_dir = models_dir
        self._loaded = loaded
        self._loaded_adapters = loaded_adapters

    async def send(self, interaction: Interaction, shelf: Shelf, limits: Filter) -> None:
        """Answer with the first page. Raises InvalidRequest when the model is not offered here."""
        view, files = await self.page(interaction, shelf, limits, 0)
        await interaction.response.send_message(view=view, files=files, ephemeral=True)

    async def turn(self, interaction: Interaction, shelf: Shelf, limits: Filter, page: int) -> None:
        """Show another page, or the nearest that exists, in place of the one that was there."""
        view, files = await self.page(interaction, shelf, limits, page)
        await interaction.response.edit_message(view=view, attachments=files)

    async def limits_of(self, interaction: Interaction, custom_id: ListId) -> Filter:
        """The filter that a button or select carries. Raises Refused if it is kept no longer."""
        if (form_id := kept_in(custom_id.of)) is None:
            try:
                return unpacked(custom_id.of)
            except ValueError as error:
                raise Refused("error.component") from error
        found = await self._store.forms.find(form_id, here_of(interaction).place.person)
        if found is None or found.of != FILTER:
            raise Refused("browse.old")
        return Filter(**found.fields)

    async def page(
        self, interaction: Interaction, shelf: Shelf, limits: Filter, page: int
    ) -> tuple[discord.ui.LayoutView, list[discord.File]]:
        """The page, with the pictures that it shows. Raises InvalidRequest."""
        here = here_of(interaction)
        catalog = here.offered(self._catalog.current)
        shelved = await asyncio.to_thread(shelve, catalog, shelf, limits, nsfw=here.nsfw)
        listed, page, pages = cut(shelved.entries, page, PER_PAGE)
        shown = await self._pictures.of(shelf, listed, checked=here.image_check != "off")
        known = await self._known(interaction, here, shelf, listed, catalog)
        title, empty, hint = SENTENCES[shelf]
        names = {key: f"{shelf}-{n}.webp" for n, key in enumerate(shown)}
        listing = Listing(
            shelf=shelf,
            title=_title(here.say, title, shelved.model),
            of=await self._packed(interaction, limits),
            limits=limits,
            cards=[
                card_of(here.say, entry, known, shelved.why.get(entry.key), catalog, nsfw=here.nsfw)
                for entry in listed
            ],
            page=page,
            pages=pages,
            count=len(shelved.entries),
            tags=shelved.tags,
            pictures=names,
            empty=here.say("browse.none" if limits.tag or limits.words else empty),
            notes=[here.say(hint), *_reading(here.say, catalog)],
        )
        files = [discord.File(BytesIO(data), names[key]) for key, data in shown.items()]
        return listing_layout(here.say, listing), files

    async def _packed(self, interaction: Interaction, limits: Filter) -> str:
        """The filter for the ids of the page's buttons; stored for a day if it is too long."""
        if (text := packed(limits)) is not None:
            return text
        fields = {name: getattr(limits, name) for name in Filter.__slots__}
        person = here_of(interaction).place.person
        return kept_as(await self._store.forms.keep(person, Entered(FILTER, fields)))

    async def _known(
        self,
        interaction: Interaction,
        here: Here,
        shelf: Shelf,
        listed: Sequence[Entry],
        catalog: Catalog,
    ) -> Known:
        if (kind := KINDS.get(shelf)) is None:
            return Known()
        counted, mine = None, {}
        try:
            mine = {**await self._uses.mine(here.place.person, kind)}
            if here.place.community is not None:
                counted = await self._uses.here(here.place.community, kind)
        except StoreError:
            pass  # logged where it happened; the page does without
        if shelf is Shelf.LORAS:
            return Known(loaded=self._loaded_adapters(), here={**(counted or {})}, mine=mine)
        models = [entry for entry in listed if isinstance(entry, ModelEntry)]
        return Known(
            states=await asyncio.to_thread(self._states, here.say, models),
            loaded=self._loaded(),
            default=default_model(catalog, nsfw=here.nsfw),
            here={**(counted or {})},
            mine=mine,
        )

    def _states(self, say: Say, models: Iterable[ModelEntry]) -> dict[str, str]:
        """Remarks on models whose files are missing or not downloaded yet. Reads the disk."""
        states = {}
        catalog = self._catalog.current
        for entry in models:
            why = catalog.unfit_models.get(entry.key)
            if why and why.undecided:
                states[entry.key] = say(
                    "models.undecided", family=why.undecided.name, variants=why.variants
                )
            elif why and why.unread and (why.vae_for or why.encoder_for):
                text = "models.quantised_vae" if why.vae_for else "models.quantised_encoder"
                states[entry.key] = say(text, reason=escaped(why.unread))
            elif why and why.unread and why.quantised:
                states[entry.key] = say(
                    "models.unread", family=why.quantised.name, reason=escaped(why.unread)
                )
            elif why and why.vae_for:
                states[entry.key] = say(
                    "models.other_vae", family=why.vae_for.name, what=escaped(why.what)
                )
            elif why and why.encoder_for:
                states[entry.key] = say(
                    "models.other_encoder",
                    needed=str(why.encoder_for.encoder),
                    what=escaped(why.what),
                )
            elif why:
                states[entry.key] = say("models.unfit", what=escaped(why.what))
            elif problems_of(entry, self._models_dir, catalog.lacking):
                # Which files: the log and `main.py check` tell the owner.
                states[entry.key] = say("models.missing")
            elif not locate_entry(entry, self._models_dir, catalog.lacking).available:
                states[entry.key] = say("models.untried")
        return states


def _title(say: Say, title: str, model: ModelEntry | None) -> str:
    return say("loras.title_for", model=one_line(model.name)) if model else say(title)


def _reading(say: Say, catalog: Catalog) -> list[str]:
    """How many model files have been read, if some have not."""
    if not catalog.unread:
        return []
    return [say("pages.reading", read=catalog.files_read, files=catalog.files)]


class BrowsingComponent(Component[IdT]):
    def __init__(self, browsing: Browsing) -> None:
        self._browsing = browsing


class TurnButton(BrowsingComponent[TurnId]):
    """Turns to the page named in its id, for anyone who sees the message."""

    ids = TurnId

    async def use(self, interaction: Interaction, custom_id: TurnId) -> None:
        limits = await self._browsing.limits_of(interaction, custom_id)
        await self._browsing.turn(interaction, custom_id.shelf, limits, custom_id.page)


class TagSelect(BrowsingComponent[TagId]):
    ids = TagId

    async def use(self, interaction: Interaction, custom_id: TagId) -> None:
        tag = picked(interaction)
        limits = await self._browsing.limits_of(interaction, custom_id)
        limits = replace(limits, tag="" if tag == EVERYTHING else tag)
        await self._browsing.turn(interaction, custom_id.shelf, limits, 0)


class SearchButton(BrowsingComponent[SearchId]):
    ids = SearchId

    async def use(self, interaction: Interaction, custom_id: SearchId) -> None:
        limits = await self._browsing.limits_of(interaction, custom_id)
        form = SearchFormId(custom_id.shelf, custom_id.page, custom_id.of)
        await open_form(interaction, search_form(here_of(interaction).say, form, limits.words))


class SearchForm(BrowsingComponent[SearchFormId]):
    ids = SearchFormId

    async def use(self, interaction: Interaction, custom_id: SearchFormId) -> None:
        limits = await self._browsing.limits_of(interaction, custom_id)
        limits = replace(limits, words=entered(interaction).get(WORDS, "").strip())
        await self._browsing.turn(interaction, custom_id.shelf, limits, 0)


def browsing_of(bot: ImagenBot) -> Browsing:
    """With the parts of `bot`."""
    services, backend = bot.services, bot.services.backend
    return Browsing(
        catalog=backend.catalog,
        store=backend.store,
        uses=backend.uses,
        pictures=services.previews.pictures,
        models_dir=backend.settings.models_dir.absolute(),
        loaded=backend.loaded,
        loaded_adapters=backend.loaded_adapters,
    )


async def setup(bot: ImagenBot) -> None:
    browsing = browsing_of(bot)
    bot.components.add(
        TurnButton(browsing), TagSelect(browsing), SearchButton(browsing), SearchForm(browsing)
    )
