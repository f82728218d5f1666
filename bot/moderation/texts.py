"""What of a request blocked words are looked for in."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bot.request import GenerationRequest
from catalog import Catalog


@dataclass(frozen=True, slots=True)
class Checked:
    """texts: typed or drawn, and the names of its LoRAs. templates: from which texts are drawn."""

    texts: tuple[str, ...] = field(repr=False)
    templates: tuple[str, ...] = field(default=(), repr=False)


def checked(
    request: GenerationRequest, catalog: Catalog, *, negatives: bool, added: Iterable[str] = ()
) -> Checked:
    """Every text of `request` once, for all its images and cells.

    negatives: whether negative prompts are among them. added: texts that a place adds to negative
    prompts; they, what a model has for those who give none, and what of that `request` was given
    when it was asked for, are nobody's words.
    """
    added = (*request.added, *added)
    texts: dict[str, None] = {}
    templates: dict[str, None] = {}
    for each in request.each:
        model = catalog.models.get(each.model)
        usual = _longest_first((*added, *([model.default_negative] if model else ())))
        texts.update(dict.fromkeys(use.key for use in each.adapters))
        texts.update(dict.fromkeys(use.word for use in each.detail))
        if each.template is not None and each.template.prompt is not None:
            templates[each.template.prompt] = None
        if negatives and each.template is not None and each.template.negative is not None:
            templates[_without(each.template.negative, usual)] = None
        for n in range(len(each.prompts)):
            own = each.alone(n)
            prompts, negative = own.painted_texts
            texts.update(dict.fromkeys((own.prompt, *prompts)))
            if negatives:
                texts.update(
                    dict.fromkeys(_without(text, usual) for text in (own.negative, *negative))
                )
    return Checked(tuple(text for text in texts if text.strip()), tuple(templates))


def remembering(
    request: GenerationRequest, catalog: Catalog, added: Iterable[str]
) -> GenerationRequest:
    """`request` with which of `added`, and of what its models have for those who give none, are in
    its negative prompts, so that they stay nobody's words when the place or the model changes."""
    models = (catalog.models.get(each.model) for each in request.each)
    usual = (*request.added, *added, *(model.default_negative for model in models if model))
    negatives = [own.negative for each in request.each for own in each.prompts]
    kept = [part for part in _longest_first(usual) if any(_has(text, part) for text in negatives)]
    return replace(request, added=tuple(kept))


def _longest_first(parts: Iterable[str]) -> list[str]:
    """Each once. One that has another within itself must be taken out before that."""
    return sorted({part for part in parts if part.strip()}, key=lambda part: (-len(part), part))


def _without(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        text = _alone(part).sub(" ", text)
    return text


def _has(text: str, part: str) -> bool:
    return _alone(part).search(text) is not None


def _alone(part: str) -> re.Pattern[str]:
    """`part` where it is not a part of words: as a place or model would have put it there."""
    return re.compile(rf"(?<![^\s,]){re.escape(part)}(?![^\s,])")
