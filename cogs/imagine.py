"""/imagine: an image from a prompt."""

from dataclasses import replace

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.delivery import Delivery
from bot.chat.places import age_restricted
from bot.chat.ui.choices import (
    adapter_choices,
    model_choices,
    preset_choices,
    scheduler_choices,
    size_choices,
)
from bot.errors import UserError
from bot.files.given import Keep, holding
from bot.files.inputs import Inputs
from bot.queue import JobQueue
from bot.request import (
    COUNT_MAX,
    HIRES_SCALES,
    REFERENCE_WEIGHT,
    SEED_MAX,
    STRENGTH,
    Draft,
    GenerationRequest,
    Picture,
    compose,
    default_model,
    find_model,
)
from bot.request.presets import schedulers_of
from bot.store import Store, discord_person
from bot.texts.language import Texts
from catalog import SCHEDULERS, Catalog, LiveCatalog, ModelEntry
from cogs.attachments import Attachments, promised
from cogs.places import asked_by, postponing, roles_of

Interaction = discord.Interaction[ImagenBot]


class Imagine(commands.Cog):
    """Turns the options of the command into a job."""

    def __init__(
        self,
        *,
        texts: Texts,
        catalog: LiveCatalog,
        queue: JobQueue,
        store: Store,
        delivery: Delivery,
        inputs: Inputs,
        adapters_max: int,
    ) -> None:
        self._texts = texts
        self._catalog = catalog
        self._queue = queue
        self._store = store
        self._delivery = delivery
        self._inputs = inputs
        self._attachments = Attachments(inputs)
        self._adapters_max = adapters_max

    @app_commands.command(description="command.imagine.description")
    @app_commands.describe(
        prompt="command.imagine.prompt",
        model="command.imagine.model",
        lora="command.imagine.lora",
        negative="command.imagine.negative",
        steps="command.imagine.steps",
        guidance="command.imagine.guidance",
        seed="command.imagine.seed",
        size="command.imagine.size",
        count="command.imagine.count",
        scheduler="command.imagine.scheduler",
        preset="command.imagine.preset",
        hires="command.imagine.hires",
        image="command.imagine.image",
        strength="command.imagine.strength",
        reference="command.imagine.reference",
        reference_weight="command.imagine.reference_weight",
    )
    @app_commands.choices(hires=[Choice(name=f"{scale:g}×", value=scale) for scale in HIRES_SCALES])
    @app_commands.guild_only()
    async def imagine(
        self,
        interaction: Interaction,
        prompt: str,
        model: str | None = None,
        lora: str | None = None,
        negative: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: app_commands.Range[int, 0, SEED_MAX] | None = None,
        size: str | None = None,
        count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
        scheduler: str | None = None,
        preset: str | None = None,
        hires: float | None = None,
        image: discord.Attachment | None = None,
        strength: app_commands.Range[float, STRENGTH[0], STRENGTH[2]] | None = None,
        reference: discord.Attachment | None = None,
        reference_weight: (
            app_commands.Range[float, REFERENCE_WEIGHT[0], REFERENCE_WEIGHT[2]] | None
        ) = None,
    ) -> None:
        self._queue.screen(discord_person(interaction.user.id), roles_of(interaction.user))
        draft = Draft.from_options(
            locals(),
            image=_promised("image", image),
            reference=_promised("reference", reference),
        )
        request = await self._compose(interaction, draft)
        new = asked_by(interaction, request)
        async with (
            self._queue.reserving(new),
            holding(self._store, self._inputs) as keep,
        ):
            if image is not None or reference is not None:
                # Fetching them may take longer than the three seconds allowed for an answer.
                await self._delivery.defer(interaction)
                draft = replace(
                    draft,
                    image=await self._fetch("image", image, keep),
                    reference=await self._fetch("reference", reference, keep),
                )
                new = replace(new, request=await self._compose(interaction, draft))
            postpone = postponing(interaction, self._delivery)
            async with self._queue.accepting(new, postpone) as ticket:
                await self._delivery.acknowledge(interaction, ticket)

    async def _compose(self, interaction: Interaction, draft: Draft) -> GenerationRequest:
        return compose(
            draft,
            await self._catalog.knowing(*draft.names),
            nsfw=age_restricted(interaction.channel),
            adapters_max=self._adapters_max,
        )

    async def _fetch(
        self, field: str, attachment: discord.Attachment | None, keep: Keep
    ) -> Picture | None:
        if attachment is None:
            return None
        return await self._attachments.fetch(field, attachment, keep)

    @imagine.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if self._turned_away(interaction):
            return []
        return model_choices(text, self._catalog.current, nsfw=age_restricted(interaction.channel))

    @imagine.autocomplete("lora")
    async def _complete_lora(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if self._turned_away(interaction):
            return []
        catalog = self._catalog.current
        nsfw = age_restricted(interaction.channel)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        say = self._texts.speaker(str(interaction.locale))
        return adapter_choices(text, catalog, say, nsfw=nsfw, model=model.key if model else None)

    @imagine.autocomplete("size")
    async def _complete_size(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if self._turned_away(interaction):
            return []
        nsfw = age_restricted(interaction.channel)
        model = self._chosen(interaction, self._catalog.current, nsfw=nsfw)
        if model is None:
            return []
        return size_choices(text, model, self._texts.speaker(str(interaction.locale)))

    @imagine.autocomplete("scheduler")
    async def _complete_scheduler(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if self._turned_away(interaction):
            return []
        catalog = self._catalog.current
        nsfw = age_restricted(interaction.channel)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        if model is None:
            return scheduler_choices(text, SCHEDULERS)
        preset = interaction.namespace.preset
        return scheduler_choices(text, schedulers_of(preset, model, catalog, nsfw=nsfw))

    @imagine.autocomplete("preset")
    async def _complete_preset(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if self._turned_away(interaction):
            return []
        catalog = self._catalog.current
        nsfw = age_restricted(interaction.channel)
        model = self._chosen(interaction, catalog, nsfw=nsfw)
        return [] if model is None else preset_choices(text, model, catalog, nsfw=nsfw)

    def _turned_away(self, interaction: Interaction) -> bool:
        """Whether the user would be refused anyway; the sentence comes with the command."""
        person, roles = discord_person(interaction.user.id), roles_of(interaction.user)
        return self._queue.turns_away(person, roles)

    def _chosen(
        self, interaction: Interaction, catalog: Catalog, *, nsfw: bool
    ) -> ModelEntry | None:
        """The model typed so far, by key or name, or the default; None if not offered here."""
        typed = interaction.namespace.model or default_model(catalog, nsfw=nsfw)
        try:
            return find_model(catalog, typed, nsfw=nsfw)
        except UserError:
            return None


def _promised(field: str, attachment: discord.Attachment | None) -> Picture | None:
    return None if attachment is None else promised(field, attachment)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        Imagine(
            texts=services.texts,
            catalog=backend.catalog,
            queue=backend.queue,
            store=backend.store,
            delivery=services.delivery,
            inputs=backend.inputs,
            adapters_max=backend.settings.max_adapters,
        )
    )
