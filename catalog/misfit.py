"""Why an adapter does not fit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from catalog.families import Family
from catalog.weight_files import SUPPORTED, UNSUPPORTED, AdapterFacts


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why an adapter fits none of the models, or not the one that is asked for.

    found: its base, its algorithm, or the keys of the models that it is for, as `kind` says.
    allowed: what would have fitted.
    """

    kind: Literal["base", "algorithm", "models"]
    found: str
    allowed: str

    def __str__(self) -> str:
        if self.kind == "models":
            return f"only for {self.found}"
        if self.kind == "base":
            return f"made for {self.found}, which fits no model here"
        return f"of the kind {self.found}, which cannot be applied"


def misfit(facts: AdapterFacts, families: Iterable[Family], *, vouched: bool) -> Misfit | None:
    """Why the adapter fits no model of these families; None when it may.

    vouched: the owner named models that it fits, which outweighs metadata but not shapes.
    """
    if facts.algorithm in UNSUPPORTED:
        return Misfit("algorithm", facts.algorithm, ", ".join(SUPPORTED))
    bases = [base for family in families for base in family.adapter_bases]
    if facts.base and facts.base not in bases and (facts.certain or not vouched):
        return Misfit("base", facts.base, ", ".join(bases))
    return None
