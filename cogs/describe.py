"""/describe: what is in an image, in words that can be used as a prompt."""

from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.queue import JobQueue
from bot.request import Composed, DescribeDraft, compose_describe
from catalog import LiveCatalog
from cogs.attachments import Attachments, promised
from cogs.completing import complete_style
from cogs.defaults import first_said
from cogs.places import accept, asked_by, check_here


class DescribeImage(commands.Cog):
    """Turns the options of the command into a job."""

    def __init__(
        self,
        *,
        catalog: LiveCatalog,
        queue: JobQueue,
        delivery: Delivery,
        attachments: Attachments,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._delivery = delivery
        self._attachments = attachments

    @app_commands.command(description="command.describe.description")
    @app_commands.describe(
        image="command.describe.image",
        style="command.describe.style",
        spoiler="command.imagine.spoiler",
        hidden="command.imagine.hidden",
    )
    @app_commands.autocomplete(style=complete_style)
    async def describe(
        self,
        interaction: Interaction,
        image: discord.Attachment,
        style: str | None = None,
        spoiler: bool | None = None,
        hidden: bool | None = None,
    ) -> None:
        rules = here_of(interaction).rules
        spoiler, hidden = first_said(spoiler, rules.spoiler), first_said(hidden, rules.private)
        check_here(interaction, self._queue.screen)
        draft = DescribeDraft(image=promised("image", image), style=style)
        composed = self._compose(interaction, draft)
        new = asked_by(
            interaction, composed.request, kind="describe", hidden=hidden, spoiler=spoiler
        )
        async with (
            self._queue.reserving(new),
            self._attachments.holding() as keep,
        ):
            # Fetching it may take longer than the three seconds allowed for an answer.
            await self._delivery.defer(interaction, hidden=hidden)
            mode = here_of(interaction).image_check
            kept = await self._attachments.fetch("image", image, keep, mode)
            composed = self._compose(interaction, replace(draft, image=kept))
            new = replace(new, request=composed.request)
            await accept(interaction, self._queue, self._delivery, new)

    def _compose(self, interaction: Interaction, draft: DescribeDraft) -> Composed:
        return compose_describe(draft, here_of(interaction).offered(self._catalog.current))


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        DescribeImage(
            catalog=backend.catalog,
            queue=backend.queue,
            delivery=services.delivery,
            attachments=Attachments.of(bot),
        )
    )
