"""What holds for a person where they are: limits, and what is used where they give nothing."""

from dataclasses import dataclass

from bot.settings.image_check import ImageCheckMode
from catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """language: the language of the person or place; None for the one that Discord sends.

    image_check: what is to happen to images that are flagged.
    """

    language: str | None = None
    image_check: ImageCheckMode = ImageCheckMode.OFF

    def offered(self, catalog: Catalog) -> Catalog:
        """`catalog` with what may be used here."""
        return catalog
