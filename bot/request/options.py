"""Options: a subset of those of a request, under a name, to be asked for again and again."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from bot.errors import UserError
from bot.request import emphasis
from bot.request.drawing import PROMPT_MAX
from bot.request.dynamic import parse
from bot.request.dynamic.grammar import Choice, Parts, Wildcard
from bot.request.embeddings import marked
from bot.request.filling import fill
from bot.request.syntax import extract_tags, parse_adapters
from catalog import Catalog, StyleEntry

LORA_MAX: Final = 1_000
TEXTS_MAX: Final = {"prompt": PROMPT_MAX, "negative": PROMPT_MAX, "lora": LORA_MAX}
"""Characters."""
_MARKS: Final = "embed"
"""In every way to mark an embedding."""
_BRACES: Final = re.compile(r"[{}|]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """None for what is left open. The fields are named as those of a Draft.

    prompt, negative: with `{prompt}` where the prompt, and the negative prompt, go that are typed.
    preset: one of PRESETS.
    """

    prompt: str | None = field(default=None, repr=False)
    negative: str | None = field(default=None, repr=False)
    model: str | None = None
    lora: str | None = None
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    size: str | None = None
    count: int | None = None
    scheduler: str | None = None
    preset: str | None = None
    hires: float | None = None
    hires_strength: float | None = None
    hires_steps: int | None = None
    clip_skip: int | None = None
    variation: str | None = None
    detail: str | None = field(default=None, repr=False)
    tile: bool | None = None

    @property
    def names(self) -> tuple[str | None, ...]:
        """The texts in which models, LoRAs and embeddings are named."""
        return self.prompt, self.negative, self.lora, self.model

    @property
    def given(self) -> dict[str, Any]:
        """What is not left open, by the names of the fields."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `given` returned, now or in any earlier version; other names are ignored."""
        return cls(**{own.name: values[own.name] for own in fields(cls) if own.name in values})

    @classmethod
    def of(cls, style: StyleEntry) -> Self:
        """What a style of the catalog sets. An empty text sets nothing."""
        values = style.model_dump()
        return cls.from_dict({name: value for name, value in values.items() if value != ""})


@dataclass(frozen=True, slots=True)
class Named:
    """A preset that somebody saved."""

    name: str
    options: Options


def offers_style(style: StyleEntry, catalog: Catalog, *, nsfw: bool) -> bool:
    """Whether a style may be used where `catalog` is offered. nsfw: as in `compose`."""
    return (nsfw or not style.nsfw) and offers_set(Options.of(style), catalog, nsfw=nsfw)


def offers_set(options: Options, catalog: Catalog, *, nsfw: bool) -> bool:
    """The same for options, as far as they name models and the like that are known."""
    gated = not nsfw and is_gated_set(options, catalog)
    return not gated and not is_withheld_set(options, catalog)


def is_withheld_set(options: Options, catalog: Catalog) -> bool:
    """Whether they name a model or LoRA that was left out when `catalog` was narrowed."""
    return catalog.withholds_model(options.model or "") or any(
        map(catalog.withholds_adapter, _adapters(options, catalog))
    )


def is_gated_set(options: Options, catalog: Catalog) -> bool:
    """Whether they name anything that is only for age-restricted channels."""
    return any(_gated(options, catalog))


def _gated(options: Options, catalog: Catalog) -> Iterator[bool]:
    if options.model:
        models = [catalog.models[key] for key in catalog.models_called(options.model)]
        yield bool(models) and all(entry.nsfw for entry in models)
    for name in _adapters(options, catalog):
        adapters = [catalog.adapters[key] for key in catalog.adapters_called(name)]
        yield bool(adapters) and all(entry.nsfw for entry in adapters)
    for text in filter(None, (options.prompt, options.negative)):
        # Most texts mark none, and there may be hundreds to look through.
        spans = emphasis.parse(_BRACES.sub(" ", text)) if _MARKS in text.casefold() else ()
        for span in spans:
            for name in marked(span.text):
                embedding = catalog.embeddings.find(name)
                yield embedding is not None and embedding.nsfw
        if "__" in text:
            with suppress(UserError):
                yield from _gated_wildcards(parse(fill(text, "")), catalog)


def _adapters(options: Options, catalog: Catalog) -> Iterator[str]:
    for text in filter(None, (options.prompt, options.lora)):
        with suppress(UserError):
            if text is options.lora:
                asks = parse_adapters(text, catalog.adapters_called)
            else:
                asks = extract_tags(text)[1]
            yield from (ask.name for ask in asks)


def _gated_wildcards(parts: Parts, catalog: Catalog) -> Iterator[bool]:
    for part in parts:
        if isinstance(part, Choice):
            for option in part.options:
                yield from _gated_wildcards(option.parts, catalog)
        elif isinstance(part, Wildcard):
            find, name = catalog.wildcards.find, part.pattern
            yield bool(find(name, nsfw=True)) and not find(name, nsfw=False)
