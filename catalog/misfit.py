"""Why an adapter does not fit."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from catalog.alternatives import alternatives
from catalog.families import Family
from catalog.weight_files import (
    EMBEDDING,
    SUPPORTED,
    UNSUPPORTED,
    AdapterFacts,
    EmbeddingFacts,
)
from catalog.weight_files.control_networks import CONTROLNET


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why an adapter or embedding fits none of the models, or not the requested one.

    found: its base, its algorithm, the keys of the models it is limited to, or what it is instead
        of something that can be used, depending on `kind`.
    allowed: what would have fitted; nothing where that is not the question.
    """

    kind: Literal["base", "algorithm", "models", "flaw"]
    found: str
    allowed: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "models":
            return f"only for {self.found}"
        if self.kind == "base":
            return f"made for {self.found}, which fits no model here"
        if self.kind == "flaw":
            return f"it is {self.found}"
        if self.found == EMBEDDING:
            return f"a {EMBEDDING} (embedding), not a LoRA: it belongs in embeddings.toml"
        if self.found == CONTROLNET:
            return f"a {CONTROLNET}, not a LoRA: it belongs in controlnets/"
        return f"of type {self.found}, which is not supported"


def misfit(facts: AdapterFacts, families: Iterable[Family], *, vouched: bool) -> Misfit | None:
    """Why the adapter fits no model of these families; None if it fits one.

    vouched: the owner listed models it fits, which overrides metadata but not tensor shapes.
    """
    if kind := facts.other or (facts.algorithm if facts.algorithm in UNSUPPORTED else ""):
        return Misfit("algorithm", kind, tuple(SUPPORTED))
    bases = [base for family in families for base in family.adapter_bases]
    if facts.base and facts.base not in bases and (facts.certain or not vouched):
        return Misfit("base", facts.base, tuple(bases))
    return None


_NUMBERS: Final = ("no text encoder", "one text encoder", "two text encoders")


def embedding_misfit(facts: EmbeddingFacts, families: Collection[Family]) -> Misfit | None:
    """Why the embedding fits no model of these families; None if it fits one."""
    bases = [base for family in families for base in family.adapter_bases]
    if facts.base and facts.base not in bases:
        return Misfit("base", facts.base, tuple(bases))
    if facts.flaw:
        return Misfit("flaw", facts.flaw)
    # Those of a known base have what it takes.
    if not facts.base and not any(
        facts.parts.keys() == {*family.text_encoders} for family in families
    ):
        has = alternatives(_NUMBERS[len(family.text_encoders)] for family in families)
        names = alternatives(family.name for family in families)
        found = f"an embedding for {_NUMBERS[len(facts.parts)]}, where {names} has {has}"
        return Misfit("flaw", found)
    return None
