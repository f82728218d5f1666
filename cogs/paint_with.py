"""An image with an entry of a list: a form with what it needs, and the job that it asks for."""

from collections.abc import Iterator
from dataclasses import asdict, replace

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import picked
from bot.chat.forms import entered_into, open_form
from bot.chat.here import here_of
from bot.chat.ui.browsing import UseId
from bot.chat.ui.forms.edit import PaintFormId, edit_form
from bot.errors import Refused, UserError
from bot.previews import Shelf
from bot.request import Draft, Fill, default_model, find_adapter, find_model
from bot.request.changes import Fields, draft_of, with_given
from catalog import Catalog, ModelEntry
from cogs.composing import Composing
from cogs.defaults import filling
from cogs.edit import best_models
from cogs.results import Results, ServiceComponent


class Painter:
    """Opens the form, and queues what was entered."""

    def __init__(self, results: Results, composing: Composing) -> None:
        self.results = results
        self._composing = composing

    async def open(self, interaction: Interaction, shelf: Shelf, key: str) -> None:
        """Open it for an entry that is offered here. Raises InvalidRequest or Refused."""
        here = here_of(interaction)
        catalog = here.offered(self.results.catalog.current)
        fields = fields_for(catalog, shelf, key, nsfw=here.nsfw)
        fill = filling(here, catalog, self._composing.adapters_max)
        await self._open(interaction, PaintFormId(shelf), with_defaults(fields, fill))

    async def reopen(self, interaction: Interaction, form: PaintFormId, fields: Fields) -> None:
        """Open it again as it was sent back."""
        await self._open(interaction, form, fields)

    async def _open(self, interaction: Interaction, form: PaintFormId, fields: Fields) -> None:
        here = here_of(interaction)
        offered = here.offered(self.results.catalog.current)
        models = best_models(offered, fields.model, nsfw=here.nsfw)
        title = here.say("browse.paint")
        await open_form(interaction, edit_form(here.say, form, fields, models, title))

    async def submit(self, interaction: Interaction, form: PaintFormId, fields: Fields) -> None:
        """Queue what was entered. A mistake is named, and the form can be opened again as it was.

        Raises Refused if this person may not ask for anything now.
        """
        self.results.check_no_cooldown(interaction)
        try:
            await self._ask(interaction, fields)
        except UserError as error:
            await self.results.send_back(interaction, form, asdict(fields), error)

    async def _ask(self, interaction: Interaction, fields: Fields) -> None:
        rules = here_of(interaction).rules
        own = None if rules.defaults.negative else self.results.catalog.current
        draft = _with_default_negative(draft_of(fields), own)
        composed = await self._composing.composed(interaction, draft, whole=True)
        await self.results.queue(interaction, composed.request, warnings=composed.notes)


def fields_for(catalog: Catalog, shelf: Shelf, key: str, *, nsfw: bool) -> Fields:
    """What the form shows for an entry: a model that fits it, and its trigger words.

    Raises InvalidRequest or Refused if it is not offered here or fits no model.
    """
    default = find_model(catalog, default_model(catalog, nsfw=nsfw), nsfw=nsfw)
    prompt = loras = ""
    if shelf is Shelf.MODELS:
        model = find_model(catalog, key, nsfw=nsfw)
    elif shelf is Shelf.LORAS:
        fitting = _fitting(catalog, key, default, nsfw=nsfw)
        model = next(fitting, default)
        entry = find_adapter(catalog, key, model=model, nsfw=nsfw)
        prompt = "".join(f"{word}, " for word in entry.trigger_words)
        loras = f"{entry.key}:{entry.default_weight:g}"
    else:
        embedding = catalog.embeddings.entries.get(key)
        if embedding not in catalog.embeddings.offered(nsfw=nsfw):
            raise Refused("browse.none")
        models = (default, *catalog.offered_models(nsfw=nsfw))
        model = next(
            (m for m in models if embedding in catalog.embeddings.offered(nsfw=nsfw, model=m)),
            default,
        )
        prompt = f"embedding:{key}, "
    return Fields(prompt, model.default_negative, model.key, loras, "")


def _fitting(
    catalog: Catalog, key: str, default: ModelEntry, *, nsfw: bool
) -> Iterator[ModelEntry]:
    for model in (default, *catalog.offered_models(nsfw=nsfw)):
        if key in catalog.adapters and catalog.misfit(key, model.key) is None:
            yield model


def with_defaults(fields: Fields, fill: Fill) -> Fields:
    """`fields` with what would be put in where they say nothing."""
    asked = Draft(prompt="", model=fields.model, lora=fields.loras or None)
    return with_given(fields, fill(asked))


def _with_default_negative(draft: Draft, catalog: Catalog | None) -> Draft:
    """With another model's own negative prompt, if that of the one in the form was left there.

    catalog: None if the form showed the person's own one.
    """
    if catalog is None:
        return draft
    unchanged = draft.negative in {model.default_negative for model in catalog.models.values()}
    return replace(draft, negative=None) if draft.negative and unchanged else draft


class UseSelect(ServiceComponent[UseId, Painter]):
    ids = UseId

    async def use(self, interaction: Interaction, custom_id: UseId) -> None:
        await self._service.open(interaction, custom_id.shelf, picked(interaction))


class PaintForm(ServiceComponent[PaintFormId, Painter]):
    ids = PaintFormId

    async def use(self, interaction: Interaction, custom_id: PaintFormId) -> None:
        fields = Fields(**entered_into(interaction, Fields.__slots__))
        await self._service.submit(interaction, custom_id, fields)


def painter_of(bot: ImagenBot) -> Painter:
    """With the parts of `bot`."""
    return Painter(Results.of(bot), Composing.of(bot))


async def setup(bot: ImagenBot) -> None:
    painter = painter_of(bot)
    bot.components.add(UseSelect(painter), PaintForm(painter))
