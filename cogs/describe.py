"""/describe: what is in an image, in words that can be used as a prompt."""

from dataclasses import replace

import discord
from discord import app_commands
from discord.ext import commands

from bot.chat.client import ImagenBot
from bot.chat.delivery import Delivery
from bot.chat.here import here_of
from bot.files.given import holding
from bot.files.inputs import Inputs
from bot.queue import JobQueue
from bot.request import Composed, DescribeDraft, compose_describe
from bot.store import Store
from bot.worker.image_check import Inspector
from catalog import LiveCatalog
from cogs.attachments import Attachments, promised
from cogs.completing import Choices, Completing
from cogs.defaults import first_said
from cogs.places import asked_by, naming_roles, postponing

Interaction = discord.Interaction[ImagenBot]


class DescribeImage(commands.Cog):
    """Turns the options of the command into a job."""

    def __init__(
        self,
        *,
        catalog: LiveCatalog,
        queue: JobQueue,
        store: Store,
        delivery: Delivery,
        inputs: Inputs,
        inspector: Inspector,
        complete: Completing,
    ) -> None:
        self._catalog = catalog
        self._complete = complete
        self._queue = queue
        self._store = store
        self._delivery = delivery
        self._inputs = inputs
        self._attachments = Attachments(inputs, inspector)

    @app_commands.command(description="command.describe.description")
    @app_commands.describe(
        image="command.describe.image",
        style="command.describe.style",
        spoiler="command.imagine.spoiler",
        hidden="command.imagine.hidden",
    )
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
        place = here_of(interaction).place
        with naming_roles(interaction):
            self._queue.screen(place.person, place.roles, place.community)
        draft = DescribeDraft(image=promised("image", image), style=style)
        composed = self._compose(interaction, draft)
        new = asked_by(
            interaction, composed.request, kind="describe", hidden=hidden, spoiler=spoiler
        )
        async with (
            self._queue.reserving(new),
            holding(self._store, self._inputs) as keep,
        ):
            # Fetching it may take longer than the three seconds allowed for an answer.
            await self._delivery.defer(interaction, hidden=hidden)
            mode = here_of(interaction).image_check
            kept = await self._attachments.fetch("image", image, keep, mode)
            composed = self._compose(interaction, replace(draft, image=kept))
            new = replace(new, request=composed.request)
            postpone = postponing(interaction, self._delivery, hidden=hidden)
            async with self._queue.accepting(new, postpone) as ticket:
                await self._delivery.acknowledge(interaction, ticket)

    def _compose(self, interaction: Interaction, draft: DescribeDraft) -> Composed:
        return compose_describe(draft, here_of(interaction).offered(self._catalog.current))

    @describe.autocomplete("style")
    async def _complete_style(self, interaction: Interaction, text: str) -> Choices:
        return self._complete.style(interaction, text)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    await bot.add_cog(
        DescribeImage(
            catalog=backend.catalog,
            queue=backend.queue,
            store=backend.store,
            delivery=services.delivery,
            inputs=backend.inputs,
            inspector=backend.inspector,
            complete=Completing.of(bot),
        )
    )
