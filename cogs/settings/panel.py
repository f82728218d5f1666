"""The selects, buttons and forms of a panel."""

from typing import TypeVar

from bot.chat.client import Interaction
from bot.chat.components import Component, picked, picks
from bot.chat.forms import entered, open_form
from bot.chat.here import here_of
from bot.chat.ui.settings import (
    GROUPS,
    VALUE,
    SettingBackId,
    SettingFormId,
    SettingGroupId,
    SettingPickId,
    SettingResetId,
    SettingValueId,
    choose_layout,
    group_of,
    names_gated,
    setting_form,
)
from bot.errors import Refused
from bot.levels.entering import KINDS, Entering, Kind
from bot.levels.levels import FIELDS
from bot.levels.showing import SeenFrom
from cogs.settings.desk import SettingsDesk, level_of

IdT = TypeVar(
    "IdT",
    SettingGroupId,
    SettingPickId,
    SettingValueId,
    SettingResetId,
    SettingBackId,
    SettingFormId,
)
CHOSEN = (Kind.FLAG, Kind.CHOICE, Kind.ROLES, Kind.CHANNEL)
"""What is chosen in a select; the rest is entered into a form."""


class _OfPanel(Component[IdT]):
    def __init__(self, desk: SettingsDesk) -> None:
        self._desk = desk

    async def check(self, interaction: Interaction, custom_id: IdT) -> None:
        self._desk.check(interaction, level_of(custom_id.level))

    async def _found(
        self, interaction: Interaction, level: str, name: str
    ) -> tuple[SeenFrom, Entering]:
        """What the level has set, and what reads a value of `name`. Raises Refused for a setting
        that the level has not."""
        seen_from = await self._desk.seen_from(interaction, level_of(level))
        entering = self._desk.entering(interaction, seen_from)
        if not entering.has(name):
            raise Refused("error.component")
        return seen_from, entering


class GroupSelect(_OfPanel[SettingGroupId]):
    ids = SettingGroupId

    async def use(self, interaction: Interaction, custom_id: SettingGroupId) -> None:
        group = picked(interaction)
        if group not in GROUPS:
            raise Refused("error.component")
        seen_from = await self._desk.seen_from(interaction, level_of(custom_id.level))
        view = self._desk.panel(interaction, seen_from, group)
        await interaction.response.edit_message(view=view)


class BackButton(_OfPanel[SettingBackId]):
    ids = SettingBackId

    async def use(self, interaction: Interaction, custom_id: SettingBackId) -> None:
        if custom_id.group not in GROUPS:
            raise Refused("error.component")
        seen_from = await self._desk.seen_from(interaction, level_of(custom_id.level))
        view = self._desk.panel(interaction, seen_from, custom_id.group)
        await interaction.response.edit_message(view=view)


class Picker(_OfPanel[SettingPickId]):
    """Offers what the setting can be, or opens a form for it."""

    ids = SettingPickId

    async def use(self, interaction: Interaction, custom_id: SettingPickId) -> None:
        name = picked(interaction)
        seen_from, entering = await self._found(interaction, custom_id.level, name)
        here = here_of(interaction)
        if KINDS[name] not in CHOSEN:
            form_id = SettingFormId(custom_id.level, name)
            own, catalog = seen_from.own(name), self._desk.shown_catalog
            if names_gated(name, own, catalog, nsfw=here.nsfw):
                # What is entered replaces it all, so it is changed where it can be seen.
                raise Refused("settings.gated_value")
            held = seen_from.holding(name)
            if held is None and name == "model":
                held = catalog.default or None
            if names_gated(name, held, catalog, nsfw=here.nsfw):
                held = None
            fields = FIELDS[seen_from.level]
            await open_form(interaction, setting_form(here.say, form_id, fields, own, held))
            return
        view = choose_layout(
            here.say,
            seen_from,
            name,
            group_of(name),
            entering.choices(name),
            self._desk.shown_catalog,
            nsfw=here.nsfw,
        )
        await interaction.response.edit_message(view=view)


class Value(_OfPanel[SettingValueId]):
    ids = SettingValueId

    async def use(self, interaction: Interaction, custom_id: SettingValueId) -> None:
        name = custom_id.name
        seen_from, entering = await self._found(interaction, custom_id.level, name)
        value = entering.read(name, ", ".join(picks(interaction)))
        await self._desk.change_on_panel(interaction, seen_from.level, name, value)


class ResetButton(_OfPanel[SettingResetId]):
    ids = SettingResetId

    async def use(self, interaction: Interaction, custom_id: SettingResetId) -> None:
        seen_from, _ = await self._found(interaction, custom_id.level, custom_id.name)
        await self._desk.change_on_panel(interaction, seen_from.level, custom_id.name, None)


class FormEntered(_OfPanel[SettingFormId]):
    ids = SettingFormId

    async def use(self, interaction: Interaction, custom_id: SettingFormId) -> None:
        name = custom_id.name
        seen_from, entering = await self._found(interaction, custom_id.level, name)
        value = entering.read(name, entered(interaction).get(VALUE, ""))
        await self._desk.change_on_panel(interaction, seen_from.level, name, value)
