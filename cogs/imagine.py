"""/imagine: a picture from words."""

from collections.abc import Callable

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.client import ImagenBot
from bot.delivery import Delivery
from bot.errors import UserError
from bot.queue import JobQueue
from bot.request import COUNT_MAX, SEED_MAX, Draft, compose, find_model
from bot.store import NewJob
from bot.ui.choices import adapter_choices, model_choices, size_choices
from bot.ui.language import Texts
from catalog import Catalog, ModelEntry
from cogs.places import age_restricted

Interaction = discord.Interaction[ImagenBot]


class Imagine(commands.Cog):
    """Turns the command's options into a job."""

    def __init__(
        self, texts: Texts, catalog: Callable[[], Catalog], queue: JobQueue, delivery: Delivery
    ) -> None:
        self._texts = texts
        self._catalog = catalog
        self._queue = queue
        self._delivery = delivery

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
    )
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
    ) -> None:
        draft = Draft(
            prompt=prompt,
            model=model,
            lora=lora,
            negative=negative,
            steps=steps,
            guidance=guidance,
            seed=seed,
            size=size,
            count=count,
        )
        request = compose(draft, self._catalog(), nsfw=age_restricted(interaction.channel))
        ticket = await self._queue.accept(
            NewJob(
                request=request,
                origin="discord",
                user_id=interaction.user.id,
                guild_id=interaction.guild_id,
                channel_id=interaction.channel_id,
                locale=str(interaction.locale),
                upload_limit=interaction.filesize_limit,
            )
        )
        try:
            await self._delivery.acknowledge(interaction, ticket)
        except Exception:
            await self._queue.abandon(ticket)
            raise
        self._queue.release(ticket.job.id)

    @imagine.autocomplete("model")
    async def _complete_model(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        return model_choices(text, self._catalog(), nsfw=age_restricted(interaction.channel))

    @imagine.autocomplete("lora")
    async def _complete_lora(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        catalog = self._catalog()
        nsfw = age_restricted(interaction.channel)
        model = self._chosen(interaction, catalog)
        say = self._texts.speaker(str(interaction.locale))
        return adapter_choices(text, catalog, say, nsfw=nsfw, model=model.key if model else None)

    @imagine.autocomplete("size")
    async def _complete_size(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        catalog = self._catalog()
        model = self._chosen(interaction, catalog)
        if model is None:
            return []
        return size_choices(text, model, self._texts.speaker(str(interaction.locale)))

    def _chosen(self, interaction: Interaction, catalog: Catalog) -> ModelEntry | None:
        """The model that is typed so far, by key or name; None when there is none of that name."""
        try:
            return find_model(catalog, interaction.namespace.model or catalog.default, nsfw=True)
        except UserError:
            return None


async def setup(bot: ImagenBot) -> None:
    catalog = bot.studio.catalog
    await bot.add_cog(Imagine(bot.texts, lambda: catalog.current, bot.studio.queue, bot.delivery))
