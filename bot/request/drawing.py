"""The texts of a request's images: drawn where there is something to draw, completed and checked.

Each image is drawn for its own seed, so that image `n` alone has the text that it has among others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from bot.errors import InvalidRequest
from bot.request import emphasis
from bot.request.dynamic import VERSION, Place, check_wildcards, draw, escaped, parse
from bot.request.dynamic.chance import Chance
from bot.request.dynamic.grammar import Choice, Literal, Parts
from bot.request.editing import TEXTS_MAX, Editing
from bot.request.embeddings import embeddings_of
from bot.request.model import Comparison, GenerationRequest
from bot.request.offers import find_model
from bot.request.parts import DrawnPrompts, Template
from bot.request.syntax import HALF_TAG, check_no_tags
from bot.request.unicode_text import visible
from catalog import AdapterEntry, Catalog, ModelEntry

PROMPT_MAX: Final = 2_000
_OPEN_TAG: Final = re.compile(r"<\s*(?:lora|lyco)\s*:[^<>,\n]*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Typed:
    """The texts of a request as typed, without `<lora:…>` tags; None for one that is not drawn."""

    prompt: str | None = field(repr=False)
    negative: str | None = field(repr=False)

    def drawn(self, request: GenerationRequest, place: Place) -> GenerationRequest:
        """`request` with these texts, drawn for the seed of each image.

        Raises InvalidRequest if a text is not valid, or what is drawn is no prompt.
        """
        # A variation has the words of the image that it varies.
        seeds = [request.alone(n).base_seed for n in range(request.count)]
        prompts = _drawn("prompt", self.prompt, request.prompt, seeds, place)
        negatives = _drawn("negative", self.negative, request.negative, seeds, place)
        for prompt, negative in dict.fromkeys(zip(prompts, negatives, strict=True)):
            if HALF_TAG.search(prompt):
                raise InvalidRequest("prompt", "dynamic.lora")
            check_texts(prompt, negative)
        template = Template(
            self.prompt if {self.prompt} != {*prompts} else None,
            self.negative if {self.negative} != {*negatives} else None,
            VERSION,
        )
        first, *others = map(DrawnPrompts, prompts, negatives)
        return replace(
            request,
            prompt=first.prompt,
            negative=first.negative,
            template=template if (template.prompt, template.negative) != (None, None) else None,
            others=tuple(others) if any(other != first for other in others) else (),
        )


def varied(
    request: GenerationRequest, catalog: Catalog, *, nsfw: bool, seed: int
) -> GenerationRequest:
    """The same with another seed, which draws from its template again, from today's wildcards. Of
    a variation, another one of the same image, with the words of that.

    nsfw: as in `compose`. Raises InvalidRequest and Refused as that does.
    """
    varied = request.with_seed(seed)
    if request.comparison is not None and varied.comparison is not None:
        return _compared_again(varied, request.comparison, varied.comparison, catalog, nsfw=nsfw)
    if request.template is None or request.variation is not None:
        return varied
    typed = Typed(request.template.prompt, request.template.negative)
    model = find_model(catalog, request.model, nsfw=nsfw)
    drawn = typed.drawn(varied, Place(catalog.wildcards, nsfw))
    complete = is_complete(request, catalog)
    return worded(drawn, catalog, model=model, nsfw=nsfw, complete=complete)


def _compared_again(
    request: GenerationRequest,
    before: Comparison,
    after: Comparison,
    catalog: Catalog,
    *,
    nsfw: bool,
) -> GenerationRequest:
    """`request`, a comparison with other seeds than `before`, with each cell drawn for its own."""
    cells = tuple(
        varied(old, catalog, nsfw=nsfw, seed=new.seed)
        for old, new in zip(before.cells, after.cells, strict=True)
    )
    # What is shown is the first cell, except that where the prompt varies, all of it is shown.
    own = request.prompt != before.cells[0].prompt
    prompt = request.prompt if own else cells[0].prompt
    return replace(cells[0], prompt=prompt, comparison=replace(after, cells=cells))


def typed_again(request: GenerationRequest) -> tuple[str, str]:
    """The prompt and the negative prompt to type for the same: what they were drawn from, or what
    they are, with whatever would be drawn escaped."""
    template = request.template or Template(None, None, VERSION)
    prompt, negative = template.prompt, template.negative
    return (
        escaped(request.prompt) if prompt is None else prompt,
        escaped(request.negative) if negative is None else negative,
    )


def is_complete(request: GenerationRequest, catalog: Catalog) -> bool:
    """Whether a request was composed without the trigger words that its prompts lack."""
    entries = _entries(request, catalog)
    return not any(each.trigger_words for each in request.prompts) and any(
        missing_words(each.prompt, entries) for each in request.prompts
    )


def worded(
    request: GenerationRequest,
    catalog: Catalog,
    *,
    model: ModelEntry,
    nsfw: bool,
    complete: bool = False,
) -> GenerationRequest:
    """`request` with the trigger words and embeddings of each image's texts.

    complete: without the trigger words.
    Raises InvalidRequest if a text's weights are out of range, or as `embeddings_of`.
    """
    keys = [use.key for use in request.adapters]
    entries = () if complete else _entries(request, catalog)
    weighs = model.family.takes_emphasis
    request = replace(request, edits=weighs and _edits(request), escapes=not weighs)
    texts = []
    for n, each in enumerate(request.prompts):
        words = missing_words(each.prompt, entries)
        prompts, negatives = replace(request.alone(n), trigger_words=words).painted_texts
        if weighs:
            _check_painted("prompt", prompts)
            _check_painted("negative", negatives)
        uses = embeddings_of([*prompts, *negatives], catalog, model=model, nsfw=nsfw, adapters=keys)
        texts.append(replace(each, trigger_words=words, embeddings=uses))
    first, *others = texts
    return replace(
        request,
        trigger_words=first.trigger_words,
        embeddings=first.embeddings,
        others=tuple(others),
    )


def _entries(request: GenerationRequest, catalog: Catalog) -> tuple[AdapterEntry, ...]:
    """Those of its LoRAs that are still there."""
    keys = (use.key for use in request.adapters)
    return tuple(catalog.adapters[key] for key in keys if key in catalog.adapters)


def _edits(request: GenerationRequest) -> bool:
    """Whether a prompt has a form of editing. Raises InvalidRequest for one that is wrong."""
    found = False
    for each in request.prompts:
        for name, text in (("prompt", each.prompt), ("negative", each.negative)):
            editing = Editing(text)
            for fault in editing.faults:
                raise InvalidRequest(name, fault.code, value=fault.value)
            found = found or bool(editing)
    return found


def _check_painted(name: str, texts: Sequence[str]) -> None:
    """Raise InvalidRequest if there are too many texts, or one has a weight out of range."""
    if len(texts) > TEXTS_MAX:
        raise InvalidRequest(name, "prompt.edit_texts", value=len(texts), max=TEXTS_MAX)
    for text in texts:
        _check_emphasis(name, text)


def check_texts(prompt: str, negative: str) -> None:
    """Raise InvalidRequest if one is too long, the prompt is empty, or the negative has a tag."""
    if not visible(prompt):
        raise InvalidRequest("prompt", "prompt.empty")
    check_no_tags(negative)
    for name, text in (("prompt", prompt), ("negative", negative)):
        if len(text) > PROMPT_MAX:
            raise InvalidRequest(name, "prompt.long", value=len(text), max=PROMPT_MAX)


def check_tags_outside(prompt: str) -> None:
    """Raise InvalidRequest if a `<lora:…>` tag is in braces, or has some: all images of a request
    have the same LoRAs."""
    if HALF_TAG.search(prompt) and "{" in prompt and _draws_tags(parse(prompt), nested=False):
        raise InvalidRequest("prompt", "dynamic.lora")


def _draws_tags(parts: Parts, *, nested: bool) -> bool:
    for part, following in zip(parts, (*parts[1:], None), strict=True):
        match part:
            case Literal():
                cut = isinstance(following, Choice) and _OPEN_TAG.search(part.text)
                if cut or (nested and HALF_TAG.search(part.text)):
                    return True
            case Choice():
                if any(_draws_tags(option.parts, nested=True) for option in part.options):
                    return True
    return False


def missing_words(prompt: str, entries: Sequence[AdapterEntry]) -> tuple[str, ...]:
    """Trigger words missing from the prompt as whole words, ignoring case and without duplicates.

    Weights are ignored, as is whether a word's brackets are escaped in the prompt.
    """
    said = emphasis.plain(prompt)
    words: dict[str, str] = {}
    for entry in entries:
        for word in entry.trigger_words:
            forms = f"{re.escape(emphasis.plain(word))}|{re.escape(word)}"
            if not re.search(rf"(?<!\w)(?:{forms})(?!\w)", said, re.IGNORECASE):
                words.setdefault(word.casefold(), word)
    return tuple(words.values())


def _drawn(
    name: str, typed: str | None, fixed: str, seeds: Sequence[int], place: Place
) -> list[str]:
    """A text for each seed: `fixed` if nothing was typed to draw from."""
    if typed is None:
        return [fixed] * len(seeds)
    parts = parse(typed, name)
    if all(isinstance(part, Literal) for part in parts):
        return [draw(parts, Chance(seeds[0], name), place)] * len(seeds)
    check_wildcards(parts, place, name)
    return [draw(parts, Chance(seed, name), place) for seed in seeds]


def _check_emphasis(name: str, text: str) -> None:
    spans = emphasis.parse(text)
    if spans and spans[-1].part >= emphasis.PARTS_MAX:
        raise InvalidRequest(
            name, "prompt.breaks", value=spans[-1].part + 1, max=emphasis.PARTS_MAX
        )
    for span in spans:
        if not emphasis.WEIGHT_MIN <= span.weight <= emphasis.WEIGHT_MAX:
            raise InvalidRequest(
                name,
                "prompt.weight",
                value=round(span.weight, 2),
                min=emphasis.WEIGHT_MIN,
                max=emphasis.WEIGHT_MAX,
            )
