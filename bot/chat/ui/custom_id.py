"""What a button or select says of itself: its `custom_id`, `<prefix>:<field>:<field>`.

Discord sends that id back with every use, so it works on messages from before a restart, and for as
long as its prefix and fields stay as they are.
"""

import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_type_hints

import discord

CUSTOM_ID_MAX = 100


@dataclass(frozen=True)
class CustomId:
    """Subclasses are frozen dataclasses that set `prefix`; a field is whatever its own type makes
    of its text: str, int, a StrEnum.

    prefix: lower-case letters. It stays for good: old messages carry it.
    """

    prefix: ClassVar[str]

    def __str__(self) -> str:
        """What Discord is sent. Raises ValueError when a field holds `:` or all are too long."""
        values = [str(getattr(self, field.name)) for field in fields(self)]
        text = ":".join([self.prefix, *values])
        if len(text) > CUSTOM_ID_MAX or any(":" in value for value in values):
            raise ValueError(
                f"custom_id {text!r}: allowed are {CUSTOM_ID_MAX} characters, no ':' within a field"
            )
        return text

    @classmethod
    def parse(cls, text: str) -> Self:
        """The id that `text` is. Raises ValueError unless it is exactly what __str__ writes."""
        types = get_type_hints(cls)
        parsed = cls(
            *(
                types[field.name](value)
                for field, value in zip(fields(cls), text.split(":")[1:], strict=True)
            )
        )
        if str(parsed) != text:
            raise ValueError(f"custom_id {text!r}: not one of {cls.__name__}")
        return parsed


class Routed(
    discord.ui.DynamicItem[discord.ui.Item[Any]], template=re.compile(r"[a-z]+:.*", re.DOTALL)
):
    """A button or select whose use goes to the client's `components`, by its custom_id.

    As an item of this kind discord.py keeps no record of each message that shows one.
    """

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.client.components.use(interaction, self.custom_id)
