"""Buttons, selects and modals: what people use on a message, each kind owned by one cog.

A cog subclasses `Component`, hands it the services it needs, and adds it to the client's
`components` in its `setup`. Each use then passes one gate: replays dropped, custom_id parsed,
permission checked, and any exception answered in one sentence.
"""

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Generic, TypeVar

import discord

from bot.chat.tree import ImagenTree
from bot.chat.ui.custom_id import CustomId
from bot.errors import Refused

IdT = TypeVar("IdT", bound=CustomId)


class Component(ABC, Generic[IdT]):
    """What using one kind of button or select does. ids: the class of its custom_ids."""

    ids: type[IdT]

    async def check(self, interaction: discord.Interaction[Any], custom_id: IdT) -> None:
        """Permission: raises UserError or app_commands.CheckFailure when this person may not."""

    @abstractmethod
    async def use(self, interaction: discord.Interaction[Any], custom_id: IdT) -> None:
        """Do it and answer the interaction; what was chosen in a select is in its `data`.

        Whatever it raises is answered as what a command raises.
        """

    async def run(self, interaction: discord.Interaction[Any], text: str) -> None:
        """Parse the custom_id, check, use. Raises Refused when `text` is not one of `ids`."""
        try:
            custom_id = self.ids.parse(text)
        except ValueError as error:
            raise Refused("error.component") from error
        await self.check(interaction, custom_id)
        await self.use(interaction, custom_id)


class Components:
    """Every kind of button and select, by the prefix of its custom_ids."""

    def __init__(self, tree: ImagenTree) -> None:
        self._tree = tree
        self._by_prefix: dict[str, Component[Any]] = {}

    def add(self, component: Component[Any]) -> None:
        """Raises ValueError when another one has that prefix."""
        prefix = component.ids.prefix
        if other := self._by_prefix.get(prefix):
            raise ValueError(
                f"custom_id prefix {prefix!r} of {type(component).__name__}: "
                f"{type(other).__name__} has it"
            )
        self._by_prefix[prefix] = component

    async def use(self, interaction: discord.Interaction[Any], text: str) -> None:
        """Route one use of a component by its custom_id. Raises nothing: errors are answered."""
        await self._tree.run_once(interaction, partial(self._route, interaction, text))

    async def _route(self, interaction: discord.Interaction[Any], text: str) -> None:
        component = self._by_prefix.get(text.partition(":")[0])
        if component is None:
            raise Refused("error.component")
        await component.run(interaction, text)


class Modal(discord.ui.Modal):
    """A modal behind the same gate; a component opens one with `interaction.response.send_modal`.

    Discord answers a modal that was open during a restart with its own error.
    """

    async def interaction_check(self, interaction: discord.Interaction[Any], /) -> bool:
        return bool(interaction.client.tree.is_new(interaction))

    # As in discord.py's own Modal: there is no item that failed.
    async def on_error(  # type: ignore[override]
        self, interaction: discord.Interaction[Any], error: Exception, /
    ) -> None:
        await interaction.client.tree.on_error(interaction, error)
