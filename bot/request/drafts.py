"""What can be asked for, as typed: images, a comparison of them, an image to be enlarged, a map of
one, or one described."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, Self, TypeAlias

from bot.request.axes import AxisAsk
from bot.request.compare import compare
from bot.request.compose import Composed, by_hash, compose_with_notes
from bot.request.describing import DescribeDraft, compose_describe
from bot.request.draft import Draft
from bot.request.hashes import Hashes
from bot.request.mapping import MapDraft, compose_map
from bot.request.pictures import Picture
from bot.request.upscaling import UpscaleDraft, compose_upscale
from catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareDraft:
    """A comparison as typed. asks: what varies from column to column, then from row to row."""

    draft: Draft
    asks: tuple[AxisAsk, ...]

    @property
    def names(self) -> tuple[str | None, ...]:
        """The texts in which models, LoRAs and embeddings are named."""
        return *self.draft.names, *(ask.values for ask in self.asks)

    def with_pictures(self, given: Mapping[str, Picture]) -> Self:
        """As of a Draft."""
        return replace(self, draft=self.draft.with_pictures(given))


AnyDraft: TypeAlias = Draft | CompareDraft | UpscaleDraft | MapDraft | DescribeDraft
DraftKind: TypeAlias = Literal["imagine", "compare", "upscale", "map", "describe"]
DRAFTS: Final[Mapping[DraftKind, type[AnyDraft]]] = {
    "imagine": Draft,
    "compare": CompareDraft,
    "upscale": UpscaleDraft,
    "map": MapDraft,
    "describe": DescribeDraft,
}
"""By what the command for each is called."""


def kind_of(draft: AnyDraft) -> DraftKind:
    """What the job is that it asks for."""
    return next(kind for kind, form in DRAFTS.items() if isinstance(draft, form))


def compose_any(
    draft: AnyDraft,
    catalog: Catalog,
    *,
    nsfw: bool,
    adapters_max: int,
    hashes: Hashes,
) -> Composed:
    """The request for what was typed. Arguments and errors as of `compose_with_notes`.

    Takes long for a comparison, whose cells are all composed.
    """
    match draft:
        case CompareDraft(draft=own):
            return compare(
                own, draft.asks, catalog, nsfw=nsfw, adapters_max=adapters_max, hashes=hashes
            )
        case UpscaleDraft():
            draft = replace(draft, model=by_hash(draft.model, hashes, catalog, nsfw=nsfw))
            return compose_upscale(draft, catalog, nsfw=nsfw, adapters_max=adapters_max)
        case MapDraft():
            return Composed(compose_map(draft, catalog))
        case DescribeDraft():
            return compose_describe(draft, catalog)
        case _:
            return compose_with_notes(
                draft, catalog, nsfw=nsfw, adapters_max=adapters_max, hashes=hashes
            )
