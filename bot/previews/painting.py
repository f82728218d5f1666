"""What is painted to show an entry. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import sqrt
from typing import Final

from bot.previews.pictures import Shelf
from bot.request import Draft, GenerationRequest, compose
from catalog import AdapterEntry, Catalog, ModelEntry

SEED: Final = 1
SHARE: Final = 0.75
"""Of the side of a square with as many pixels as the model's own size."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What a picture shows, painted with `model`."""

    shelf: Shelf
    entry: ModelEntry | AdapterEntry
    model: ModelEntry


def subjects(catalog: Catalog, models: Iterable[ModelEntry]) -> Iterator[Subject]:
    """The models, each followed by the LoRAs that fit it and none before: so they change seldom.

    A LoRA that is shown everywhere is painted with a model that is, too. models: those that can be
    used now.
    """
    shown: set[str] = set()
    for model in models:
        yield Subject(Shelf.MODELS, model, model)
        for adapter in catalog.offered_adapters(nsfw=True, model=model.key):
            if adapter.key not in shown and (adapter.nsfw or not model.nsfw):
                shown.add(adapter.key)
                yield Subject(Shelf.LORAS, adapter, model)


def request_for(subject: Subject, catalog: Catalog, prompt: str) -> GenerationRequest:
    """The request for its picture. Raises UserError if it cannot be painted."""
    side = side_for(subject.model)
    draft = Draft(
        prompt=prompt,
        model=subject.model.key,
        lora=subject.entry.key if subject.shelf is Shelf.LORAS else None,
        seed=SEED,
        size=f"{side}x{side}",
        count=1,
    )
    return compose(draft, catalog, nsfw=True)


def side_for(model: ModelEntry) -> int:
    """Of the square picture, in pixels that the model can paint."""
    step = model.family.pixel_step
    wanted = SHARE * sqrt(model.size[0] * model.size[1])
    side = max(step, round(wanted / step) * step)
    low = -(-model.min_side // step) * step
    high = min(model.max_side, int(sqrt(model.max_pixels))) // step * step
    return max(low, min(side, high))


def subject_of(request: GenerationRequest) -> tuple[Shelf, str]:
    """The entry that a request of `request_for` shows: its shelf and key."""
    if request.adapters:
        return Shelf.LORAS, request.adapters[0].key
    return Shelf.MODELS, request.model
