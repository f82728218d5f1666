"""/imagine: an image from a prompt."""

from dataclasses import replace

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.queue import JobQueue
from bot.request import (
    COUNT_MAX,
    HIRES_SCALES,
    RANDOM,
    REFERENCE_WEIGHT,
    SEED_MAX,
    STRENGTH,
    Draft,
)
from cogs.attachments import Attachments, promised
from cogs.completing import (
    complete_control,
    complete_detail,
    complete_extend,
    complete_lora,
    complete_model,
    complete_preset,
    complete_scheduler,
    complete_size,
)
from cogs.composing import Composing
from cogs.defaults import first_said
from cogs.places import accept, asked_by, check_here


class Imagine(commands.Cog):
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

    @app_commands.command(description="command.imagine.description")
    @app_commands.describe(
        prompt="command.imagine.prompt",
        model="command.imagine.model",
        lora="command.imagine.lora",
        negative="command.imagine.negative",
        steps="command.imagine.steps",
        guidance="command.imagine.guidance",
        seed="command.imagine.seed",
        variation="command.imagine.variation",
        size="command.imagine.size",
        count="command.imagine.count",
        scheduler="command.imagine.scheduler",
        preset="command.imagine.preset",
        hires="command.imagine.hires",
        image="command.imagine.image",
        strength="command.imagine.strength",
        mask="command.imagine.mask",
        extend="command.imagine.extend",
        reference="command.imagine.reference",
        reference_weight="command.imagine.reference_weight",
        control="command.imagine.control",
        control_image="command.imagine.control_image",
        detail="command.imagine.detail",
        spoiler="command.imagine.spoiler",
        hidden="command.imagine.hidden",
    )
    @app_commands.autocomplete(
        model=complete_model,
        lora=complete_lora,
        size=complete_size,
        scheduler=complete_scheduler,
        preset=complete_preset,
        extend=complete_extend,
        control=complete_control,
        detail=complete_detail,
    )
    @app_commands.choices(hires=[Choice(name=f"{scale:g}×", value=scale) for scale in HIRES_SCALES])
    async def imagine(
        self,
        interaction: Interaction,
        prompt: str,
        model: str | None = None,
        lora: str | None = None,
        negative: str | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: app_commands.Range[int, RANDOM, SEED_MAX] | None = None,
        variation: str | None = None,
        size: str | None = None,
        count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
        scheduler: str | None = None,
        preset: str | None = None,
        hires: float | None = None,
        image: discord.Attachment | None = None,
        strength: app_commands.Range[float, STRENGTH[0], STRENGTH[2]] | None = None,
        mask: discord.Attachment | None = None,
        extend: str | None = None,
        reference: discord.Attachment | None = None,
        reference_weight: (
            app_commands.Range[float, REFERENCE_WEIGHT[0], REFERENCE_WEIGHT[2]] | None
        ) = None,
        control: str | None = None,
        control_image: discord.Attachment | None = None,
        detail: str | None = None,
        spoiler: bool | None = None,
        hidden: bool | None = None,
    ) -> None:
        rules = here_of(interaction).rules
        spoiler, hidden = first_said(spoiler, rules.spoiler), first_said(hidden, rules.private)
        check_here(interaction, self._queue.screen)
        given = {
            "image": image,
            "mask": mask,
            "reference": reference,
            "control_image": control_image,
        }
        attached = {name: each for name, each in given.items() if each is not None}
        promises = {name: promised(name, each) for name, each in attached.items()}
        draft = Draft.from_options(locals(), **dict.fromkeys(given)).with_pictures(promises)
        composed = await self._composing.composed(interaction, draft)
        new = asked_by(
            interaction,
            composed.request,
            warnings=composed.notes,
            hidden=hidden,
            spoiler=spoiler,
        )
        async with (
            self._queue.reserving(new),
            self._attachments.holding() as keep,
        ):
            if attached:
                # Fetching them may take longer than the three seconds allowed for an answer.
                await self._delivery.defer(interaction, hidden=hidden)
                mode = here_of(interaction).image_check
                draft = draft.with_pictures(
                    {
                        name: await self._attachments.fetch(name, each, keep, mode)
                        for name, each in attached.items()
                    }
                )
                composed = await self._composing.composed(interaction, draft)
                new = replace(new, request=composed.request, warnings=composed.notes)
            await accept(interaction, self._queue, self._delivery, new)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        Imagine(
            queue=backend.queue,
            delivery=services.delivery,
            attachments=Attachments.of(bot),
            composing=Composing.of(bot),
        )
    )
