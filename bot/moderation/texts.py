"""What of a request blocked words are looked for in."""

from collections.abc import Iterable
from dataclasses import dataclass, field

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
    prompts; they, and what a model has for those who give none, are nobody's words.
    """
    texts: dict[str, None] = {}
    templates: dict[str, None] = {}
    for each in request.each:
        model = catalog.models.get(each.model)
        usual = (*added, *([model.default_negative] if model else ()))
        texts.update(dict.fromkeys(use.key for use in each.adapters))
        if each.template is not None and each.template.prompt is not None:
            templates[each.template.prompt] = None
        if negatives and each.template is not None and each.template.negative is not None:
            templates[each.template.negative] = None
        for n in range(len(each.prompts)):
            own = each.alone(n)
            prompts, negative = own.painted_texts
            texts.update(dict.fromkeys((own.prompt, *prompts)))
            if negatives:
                texts.update(
                    dict.fromkeys(_without(text, usual) for text in (own.negative, *negative))
                )
    return Checked(tuple(text for text in texts if text.strip()), tuple(templates))


def _without(text: str, parts: Iterable[str]) -> str:
    for part in parts:
        if part:
            text = text.replace(part, " ")
    return text
