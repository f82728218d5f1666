"""What holds for a person where they are: limits, and what is used where they give nothing."""

from dataclasses import dataclass

from catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """language: the language of the person or place; None for the one that Discord sends."""

    language: str | None = None

    def offered(self, catalog: Catalog) -> Catalog:
        """`catalog` with what may be used here."""
        return catalog
