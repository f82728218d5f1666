"""The `custom_id` of a button or select: `<prefix>:<field>:<field>`.

Discord sends it back with every use, so buttons keep working after a restart, for as long as the
prefix and fields stay the same.
"""

import re
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self, get_type_hints

import discord

CUSTOM_ID_MAX = 100


@dataclass(frozen=True)
class CustomId:
    """Subclasses are frozen dataclasses that set `prefix`. A field's type, such as str, int or a
    StrEnum, is called with the field's text to parse it.

    prefix: lower-case letters. It must never change: old messages carry it.
    """

    prefix: ClassVar[str]

    def __str__(self) -> str:
        """The id as sent. Raises ValueError if a field contains `:` or the whole is too long."""
        values = [str(getattr(self, field.name)) for field in fields(self)]
        text = ":".join([self.prefix, *values])
        if len(text) > CUSTOM_ID_MAX or any(":" in value for value in values):
            raise ValueError(
                f"custom_id {text!r}: at most {CUSTOM_ID_MAX} characters, and no ':' within a field"
            )
        return text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse an id. Raises ValueError unless `text` is exactly what __str__ returns."""
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


@dataclass(frozen=True)
class JobId(CustomId):
    """Acts on a job. Subclasses without fields of their own need only set `prefix`."""

    job_id: str


class Routed(
    discord.ui.DynamicItem[discord.ui.Item[Any]], template=re.compile(r"[a-z]+:.*", re.DOTALL)
):
    """A button or select routed to the client's `components` by its custom_id.

    Being a dynamic item, it does not make discord.py keep a view for every message that shows it.
    """

    @classmethod
    async def from_custom_id(
        cls, interaction: discord.Interaction[Any], item: discord.ui.Item[Any], match: re.Match[str]
    ) -> Self:
        return cls(item)

    async def callback(self, interaction: discord.Interaction[Any]) -> None:
        await interaction.client.components.use(interaction, self.custom_id)
