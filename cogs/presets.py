"""/preset: sets of options that people save, use again, and share with their server."""

import asyncio
from dataclasses import replace as replaced

import discord
from discord import app_commands
from discord.app_commands import Choice
from discord.ext import commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.components import Component
from bot.chat.delivery import Delivery
from bot.chat.here import Here, here_of
from bot.chat.ui.markdown import one_line
from bot.chat.ui.pages import turning_view
from bot.chat.ui.presets import SEARCH_MAX, PresetsPageId, presets_page, saved_choices
from bot.errors import InvalidRequest, Refused
from bot.queue import JobQueue
from bot.request import COUNT_MAX, HIRES_SCALES, PROMPT_MAX, RANDOM, SEED_MAX, Draft, Options
from bot.request.keeping import NAME_MAX
from bot.request.options import LORA_MAX, is_gated_set, offers_set
from bot.store.presets import Presets, SavedPreset
from catalog import Catalog, LiveCatalog
from cogs.completing import (
    Choices,
    complete_detail,
    complete_lora,
    complete_model,
    complete_preset,
    complete_scheduler,
    complete_size,
    offered,
)
from cogs.composing import Composing
from cogs.defaults import first_said
from cogs.places import accept, asked_by, check_here
from cogs.saving import Saving

Name = app_commands.Range[str, 1, NAME_MAX]


@offered
async def _complete_saved(
    interaction: Interaction, here: Here, catalog: Catalog, text: str
) -> Choices:
    """The person's own, or with `shared` the server's."""
    presets, shared = (
        interaction.client.services.backend.store.presets,
        interaction.namespace.shared,
    )
    saved = await presets.of(here.place.person, here.place.community)
    of_kind = [each for each in saved if (each.community is not None) == bool(shared)]
    return await asyncio.to_thread(saved_choices, text, of_kind, catalog, here.say, nsfw=here.nsfw)


class PresetCog(
    commands.GroupCog, group_name="preset", group_description="command.preset.description"
):
    def __init__(
        self,
        *,
        catalog: LiveCatalog,
        queue: JobQueue,
        delivery: Delivery,
        presets: Presets,
        composing: Composing,
        saving: Saving,
    ) -> None:
        self._catalog = catalog
        self._queue = queue
        self._delivery = delivery
        self._presets = presets
        self._composing = composing
        self._saving = saving

    @app_commands.command(description="command.preset.save.description")
    @app_commands.describe(
        name="command.preset.save.name",
        prompt="command.preset.save.prompt",
        negative="command.preset.save.negative",
        model="command.imagine.model",
        lora="command.imagine.lora",
        steps="command.imagine.steps",
        guidance="command.imagine.guidance",
        seed="command.preset.save.seed",
        size="command.imagine.size",
        count="command.imagine.count",
        scheduler="command.imagine.scheduler",
        preset="command.preset.save.preset",
        hires="command.imagine.hires",
        hires_strength="command.preset.save.hires_strength",
        hires_steps="command.preset.save.hires_steps",
        clip_skip="command.preset.save.clip_skip",
        detail="command.imagine.detail",
        tile="command.preset.save.tile",
        replace="command.preset.save.replace",
    )
    @app_commands.autocomplete(
        model=complete_model,
        lora=complete_lora,
        size=complete_size,
        scheduler=complete_scheduler,
        detail=complete_detail,
    )
    @app_commands.choices(hires=[Choice(name=f"{scale:g}×", value=scale) for scale in HIRES_SCALES])
    @app_commands.choices(preset=[Choice(name=name, value=name) for name in ("draft", "fast")])
    async def save(
        self,
        interaction: Interaction,
        name: Name,
        prompt: app_commands.Range[str, 1, PROMPT_MAX] | None = None,
        negative: app_commands.Range[str, 1, PROMPT_MAX] | None = None,
        model: str | None = None,
        lora: app_commands.Range[str, 1, LORA_MAX] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
        seed: app_commands.Range[int, 0, SEED_MAX] | None = None,
        size: str | None = None,
        count: app_commands.Range[int, 1, COUNT_MAX] | None = None,
        scheduler: str | None = None,
        preset: str | None = None,
        hires: float | None = None,
        hires_strength: float | None = None,
        hires_steps: int | None = None,
        clip_skip: int | None = None,
        detail: str | None = None,
        tile: bool | None = None,
        replace: bool = False,
    ) -> None:
        self.check_may_use(interaction)
        options = Options(
            prompt=prompt,
            negative=negative,
            model=model,
            lora=lora,
            steps=steps,
            guidance=guidance,
            seed=seed,
            size=size,
            count=count,
            scheduler=scheduler,
            preset=preset,
            hires=hires,
            hires_strength=hires_strength,
            hires_steps=hires_steps,
            clip_skip=clip_skip,
            detail=detail,
            tile=tile,
        )
        name = await self._saving.save(interaction, name, options, replace=replace)
        await _answer(interaction, here_of(interaction).say("presets.saved", name=one_line(name)))

    @app_commands.command(description="command.preset.use.description")
    @app_commands.describe(
        name="command.preset.use.name",
        prompt="command.preset.use.prompt",
        seed="command.imagine.seed",
        hidden="command.imagine.hidden",
    )
    @app_commands.autocomplete(name=complete_preset)
    async def use(
        self,
        interaction: Interaction,
        name: str,
        prompt: str = "",
        seed: app_commands.Range[int, RANDOM, SEED_MAX] | None = None,
        hidden: bool | None = None,
    ) -> None:
        rules = here_of(interaction).rules
        hidden = first_said(hidden, rules.private)
        check_here(interaction, self._queue.screen)
        draft = Draft(prompt=prompt, preset=name, seed=seed)
        composed = await self._composing.composed(interaction, draft)
        new = asked_by(
            interaction,
            composed.request,
            warnings=composed.notes,
            hidden=hidden,
            spoiler=first_said(None, rules.spoiler),
        )
        await accept(interaction, self._queue, self._delivery, new)

    @app_commands.command(name="list", description="command.preset.list.description")
    @app_commands.describe(search="command.preset.list.search")
    async def show(
        self, interaction: Interaction, search: app_commands.Range[str, 1, SEARCH_MAX] | None = None
    ) -> None:
        self.check_may_use(interaction)
        wanted = PresetsPageId(0, (search or "").replace(":", " "))
        embed, view = await self.page(interaction, wanted)
        await interaction.response.send_message(embed=embed, view=view, ephemeral=True)

    @app_commands.command(description="command.preset.share.description")
    @app_commands.describe(name="command.preset.share.name", replace="command.preset.share.replace")
    @app_commands.autocomplete(name=_complete_saved)
    async def share(self, interaction: Interaction, name: str, replace: bool = False) -> None:
        self.check_may_use(interaction)
        here = here_of(interaction)
        place = here.place
        if place.community is None:
            raise Refused("presets.no_server")
        _check_manages(interaction)
        own = await self._own(interaction, name)
        if not offers_set(own.options, here.offered(self._catalog.current), nsfw=here.nsfw):
            raise InvalidRequest("name", "presets.not_yours", value=name)
        await self._saving.share(place.person, place.community, own.named, replace=replace)
        text = here_of(interaction).say("presets.is_shared", name=one_line(own.name))
        await _answer(interaction, text)

    @app_commands.command(description="command.preset.delete.description")
    @app_commands.describe(name="command.preset.delete.name", shared="command.preset.delete.shared")
    @app_commands.autocomplete(name=_complete_saved)
    async def delete(self, interaction: Interaction, name: str, shared: bool = False) -> None:
        self.check_may_use(interaction)
        if shared:
            _check_manages(interaction)
            found = await self._shared(interaction, name)
        else:
            found = await self._own(interaction, name)
        if not await self._presets.delete(found, here_of(interaction).place.person):
            code = "presets.not_here" if shared else "presets.not_yours"
            raise InvalidRequest("name", code, value=name)
        text = here_of(interaction).say("presets.deleted", name=one_line(found.name))
        await _answer(interaction, text)

    async def page(
        self, interaction: Interaction, wanted: PresetsPageId
    ) -> tuple[discord.Embed, discord.ui.View]:
        """The wanted page, or the nearest that exists, and its buttons."""
        here = here_of(interaction)
        saved = await self._presets.of(here.place.person, here.place.community)
        catalog = here.offered(self._catalog.current)
        embed, page, pages = await asyncio.to_thread(
            presets_page, here.say, saved, catalog, wanted, nsfw=here.nsfw
        )
        return embed, turning_view(here.say, replaced(wanted, page=page), pages)

    async def _own(self, interaction: Interaction, name: str) -> SavedPreset:
        """Raises InvalidRequest if the person has none of that name that may be named here."""
        found = await self._presets.own(here_of(interaction).place.person, name)
        if found is None or not self._may_name(interaction, found):
            raise InvalidRequest("name", "presets.not_yours", value=name)
        return found

    async def _shared(self, interaction: Interaction, name: str) -> SavedPreset:
        community = here_of(interaction).place.community
        found = await self._presets.shared(community, name) if community else None
        if found is None or not self._may_name(interaction, found):
            raise InvalidRequest("name", "presets.not_here", value=name)
        return found

    def _may_name(self, interaction: Interaction, found: SavedPreset) -> bool:
        here = here_of(interaction)
        return here.nsfw or not is_gated_set(found.options, self._catalog.current)

    def check_may_use(self, interaction: Interaction) -> None:
        """Raise Refused for one who may never ask for anything here."""
        check_here(interaction, self._queue.check_person)


class PresetsPageButton(Component[PresetsPageId]):
    """Turns to the page named in its id."""

    ids = PresetsPageId

    def __init__(self, cog: PresetCog) -> None:
        self._cog = cog

    async def check(self, interaction: Interaction, custom_id: PresetsPageId) -> None:
        self._cog.check_may_use(interaction)

    async def use(self, interaction: Interaction, custom_id: PresetsPageId) -> None:
        embed, view = await self._cog.page(interaction, custom_id)
        await interaction.response.edit_message(embed=embed, view=view)


def _check_manages(interaction: Interaction) -> None:
    """Raise MissingPermissions for one who may not change what is the server's."""
    if not interaction.permissions.manage_guild:
        raise app_commands.MissingPermissions(["manage_guild"])


async def _answer(interaction: Interaction, text: str) -> None:
    await interaction.response.send_message(text, ephemeral=True)


async def setup(bot: ImagenBot) -> None:
    services, backend = bot.services, bot.services.backend
    cog = PresetCog(
        catalog=backend.catalog,
        queue=backend.queue,
        delivery=services.delivery,
        presets=backend.store.presets,
        composing=Composing.of(bot),
        saving=Saving.of(bot),
    )
    await bot.add_cog(cog)
    bot.components.add(PresetsPageButton(cog))
