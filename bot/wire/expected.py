"""Expected: the weights that a recipe may name, by what is in them, for the half that reads it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from bot.errors import WireError
from bot.recipe import Recipe, Weights
from catalog.alternatives import alternatives

Sha256s: TypeAlias = frozenset[str]
"""Of which each is right: it depends on the card which variant of some weights is read."""
ANY: Final[Sha256s] = frozenset()
"""Where it is not known which are right."""
_SHOWN: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """For one order; fields as of a `Recipe`.

    vae, text_encoder: None if the model's own is used. parts: by network, which is what their names
        end in; only those that the order is known to need.
    """

    checkpoint: Sha256s = ANY
    vae: Sha256s | None = None
    text_encoder: Sha256s | None = None
    upscaler: Sha256s = ANY
    adapters: tuple[Sha256s, ...] = ()
    embeddings: tuple[Sha256s, ...] = ()
    reference: tuple[Sha256s, ...] = ()
    controls: tuple[Sha256s, ...] = ()
    depth: Sha256s = ANY
    pose: Sha256s = ANY
    detector: Sha256s = ANY
    describer: Sha256s = ANY
    parts: Mapping[str, Sha256s] = field(default_factory=dict)

    def check(self, recipe: Recipe) -> None:
        """Raise WireError unless `recipe`, whose names were checked, has these weights."""
        instead = {
            "vae": (recipe.vae, self.vae),
            "text_encoder": (recipe.text_encoder, self.text_encoder),
        }
        for what, (used, expected) in instead.items():
            if (used is None) != (expected is None):
                raise WireError(
                    f"painting: recipe: {what}: allowed is that of the order, and no other"
                )
            _compare(what, [used], [expected or ANY])
        parts = recipe.by_network
        if missing := sorted(self.parts.keys() - parts.keys()):
            raise WireError(f"painting: recipe: parts: without {missing[0]}, which the order needs")
        _compare("checkpoint", [recipe.checkpoint], [self.checkpoint])
        _compare("upscaler", [recipe.upscaler], [self.upscaler])
        _compare("adapters", recipe.adapters, self.adapters)
        _compare("embeddings", recipe.embeddings, self.embeddings)
        _compare("reference", recipe.reference, self.reference)
        _compare("controls", recipe.controls, self.controls)
        _compare("depth", [recipe.depth], [self.depth])
        _compare("pose", [recipe.pose], [self.pose])
        _compare("detector", [recipe.detector], [self.detector])
        _compare("describer", [recipe.describer], [self.describer])
        _compare("parts", [parts[name] for name in self.parts], [*self.parts.values()])


def _compare(what: str, used: Iterable[Weights | None], expected: Sequence[Sha256s]) -> None:
    for weights, allowed in zip(used, expected, strict=False):
        if weights is not None and allowed and weights.sha256 not in allowed:
            shown = alternatives(sorted(each[:_SHOWN] for each in allowed))
            raise WireError(
                f"painting: recipe: {what}: it used {weights.name} with the sha256 "
                f"{weights.sha256[:_SHOWN]}…, and the order has {shown}…"
            )
