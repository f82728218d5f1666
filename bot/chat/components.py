"""Buttons and selects, each kind owned by one cog.

A cog subclasses `Component`, hands it the services it needs, and adds it to the client's
`components` in its `setup`. Each use then goes through the same steps: replays are dropped, the
custom_id is parsed, permission is checked, and any exception is answered in one sentence.
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
    """What one kind of button or select does when used. ids: the class of its custom_ids."""

    ids: type[IdT]

    async def check(self, interaction: discord.Interaction[Any], custom_id: IdT) -> None:
        """Raise UserError or app_commands.CheckFailure if this user may not use it."""

    @abstractmethod
    async def use(self, interaction: discord.Interaction[Any], custom_id: IdT) -> None:
        """Act and answer the interaction; see `picks` for what was chosen in a select.

        Exceptions are answered in the same way as a command's.
        """

    async def run(self, interaction: discord.Interaction[Any], text: str) -> None:
        """Parse the custom_id, check, use. Raises Refused when `text` is not one of `ids`."""
        try:
            custom_id = self.ids.parse(text)
        except ValueError as error:
            raise Refused("error.component") from error
        await self.check(interaction, custom_id)
        await self.use(interaction, custom_id)


def picks(interaction: discord.Interaction[Any]) -> list[str]:
    """What was chosen in the select that was used."""
    data: dict[str, Any] = {**(interaction.data or {})}
    return [str(value) for value in data.get("values") or ()]


def picked(interaction: discord.Interaction[Any]) -> str:
    """The first of it. Raises Refused if nothing was."""
    for value in picks(interaction):
        return value
    raise Refused("error.component")


class Components:
    """All kinds of buttons and selects, by the prefix of their custom_ids."""

    def __init__(self, tree: ImagenTree) -> None:
        self._tree = tree
        self._by_prefix: dict[str, Component[Any]] = {}

    def add(self, *components: Component[Any]) -> None:
        """Register some kinds. Raises ValueError when another one has the prefix of one."""
        for component in components:
            prefix = component.ids.prefix
            if other := self._by_prefix.get(prefix):
                raise ValueError(
                    f"custom_id prefix {prefix!r} of {type(component).__name__}: "
                    f"{type(other).__name__} has it"
                )
            self._by_prefix[prefix] = component

    async def use(self, interaction: discord.Interaction[Any], text: str) -> None:
        """Route one use of a component by its custom_id `text`. Errors are answered, not raised."""
        await self._tree.run_once(interaction, partial(self._route, interaction, text))

    async def _route(self, interaction: discord.Interaction[Any], text: str) -> None:
        component = self._by_prefix.get(text.partition(":")[0])
        if component is None:
            raise Refused("error.component")
        await component.run(interaction, text)
