"""/edit: images changed by what is said about them."""

from collections.abc import Mapping
from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.files.given import Keep
from bot.queue import JobQueue
from bot.request import COUNT_MAX, RANDOM, SEED_MAX, Draft, Picture
from bot.settings.image_check import ImageCheck
from cogs.attachments import Attachments, promised
from cogs.completing import (
    complete_editing_lora,
    complete_editing_model,
    complete_editing_size,
)
from cogs.composing import Composing
from cogs.defaults import first_said
from cogs.places import accept, asked_by, check_here


class EditImages(commands.Cog):
    """Turns the options of the command into a job."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        delivery: Delivery,
        attachments: Attachments,
        composing: Composing,
    ) -> None:
        self._queue = queue
        self._delivery = delivery
        self._attachments = attachments
        self._composing = composing

    @app_commands.command(description="command.edit.description")
    @app_commands.describe(
        image="command.edit.image",
        prompt="command.edit.prompt",
        image2="command.edit.further",
        image3="command.edit.further",
        image4="command.edit.further",
        model="command.edit.model",
        lora="command.imagine.lora",
        steps="command.imagine.steps",
        seed="command.imagine.seed",
        size="command.edit.size",
        count="command.imagine.count",
        spoiler="command.imagine.spoiler",
        hidden="command.imagine.hidden",
    )
    @app_commands.autocomplete(
        model=complete_editing_model, lora=complete_editing_lora, size=complete_editing_size
    )
    async def edit(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        prompt: str,
        image2: discord.Attachment | None = None,
        image3: discord.Attachment | None = None,
        image4: discord.Attachment | None = None,
        model: str | None = None,
        lora: str | None = None,
        steps: int | None = None,
        seed: app_commands.Range[int, RANDOM, SEED_MAX] | None = None,
        size: str | None = None,
        count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
        spoiler: bool | None = None,
        hidden: bool | None = None,
    ) -> None:
        rules = here_of(interaction).rules
        spoiler, hidden = first_said(spoiler, rules.spoiler), first_said(hidden, rules.private)
        check_here(interaction, self._queue.screen)
        given = {"image": image, "image2": image2, "image3": image3, "image4": image4}
        attached = {field: file for field, file in given.items() if file is not None}
        draft = Draft(
            prompt=prompt,
            model=model,
            lora=lora,
            steps=steps,
            seed=seed,
            size=size,
            count=count,
            pictures=tuple(promised(field, file) for field, file in attached.items()),
        )
        composed = await self._composing.composed(interaction, draft)
        new = asked_by(
            interaction,
            composed.request,
            kind="edit",
            warnings=composed.notes,
            hidden=hidden,
            spoiler=spoiler,
        )
        async with (
            self._queue.reserving(new),
            self._attachments.holding() as keep,
        ):
            # Fetching them may take longer than the three seconds allowed for an answer.
            await self._delivery.defer(interaction, hidden=hidden)
            mode = here_of(interaction).image_check
            draft = replace(draft, pictures=await self._fetched(attached, keep, mode))
            composed = await self._composing.composed(interaction, draft)
            new = replace(new, request=composed.request, warnings=composed.notes)
            await accept(interaction, self._queue, self._delivery, new)

    async def _fetched(
        self, attached: Mapping[str, discord.Attachment], keep: Keep, mode: ImageCheck
    ) -> tuple[Picture, ...]:
        fetch = self._attachments.fetch
        return tuple([await fetch(field, file, keep, mode) for field, file in attached.items()])


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        EditImages(
            queue=backend.queue,
            delivery=services.delivery,
            attachments=Attachments.of(bot),
            composing=Composing.of(bot),
        )
    )
