"""Requests for words that describe an image, and these words as a prompt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import log
from typing import Final, Self

from bot.request.compose import Composed, compose
from bot.request.draft import Draft
from bot.request.drawing import PROMPT_MAX
from bot.request.model import GenerationRequest
from bot.request.offers import check_describer, default_model
from bot.request.parts import DETAILED, Describe
from bot.request.pictures import AWAITED, Picture
from bot.request.syntax import usual_sizes
from catalog import Catalog

WORDS_MAX: Final = 2_000
"""Characters of a description: as many as a prompt may have."""
_SPECIAL: Final = re.compile(r"([\\()\[\]])")
"""What weighs words, or edits them while an image is generated."""
_DRAWN: Final = str.maketrans({"{": "(", "}": ")", "<": "(", ">": ")", "_": " "})
"""What begins a choice, a wildcard or a LoRA; words in tags are joined with underscores."""

_FLAG: Final = re.compile(r"(?<!\w)[-–—]+(?=\w)")
"""What begins an option of another program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeDraft:
    """A request to describe an image, as typed; None for what was not given.

    image: unless it is given, it is still to come. style: one of DESCRIBE_STYLES.
    """

    image: Picture = AWAITED
    style: str | None = None

    @property
    def names(self) -> tuple[str | None, ...]:
        """As of a Draft: nothing that is named has to be read first."""
        return ()

    def with_pictures(self, given: Mapping[str, Picture]) -> Self:
        """The same with its image, which is called "image". Raises LookupError without one."""
        return replace(self, image=given["image"])


def compose_describe(draft: DescribeDraft, catalog: Catalog) -> Composed:
    """Resolve and validate `draft`. Raises InvalidRequest, or Refused where nothing describes."""
    style = DETAILED if draft.style is None else draft.style.strip().casefold()
    check_describer(catalog, style)
    return Composed(
        GenerationRequest(
            prompt="",
            negative="",
            model="",
            steps=0,
            guidance=0.0,
            seed=0,
            width=draft.image.width,
            height=draft.image.height,
            scheduler="",
            describe=Describe(draft.image.sha256, style),
        )
    )


def imagined(
    words: str, size: tuple[int, int], catalog: Catalog, *, nsfw: bool, seed: int
) -> GenerationRequest:
    """The request for an image of what is described in `words`, in the usual size of the default
    model whose ratio is nearest to that of `size`. Raises as `compose`."""
    model = catalog.models.get(default_model(catalog, nsfw=nsfw))
    shape = size[0] / size[1]
    usual = usual_sizes(model) if model else ()
    nearest = min(usual, key=lambda each: abs(log(each[0] / each[1] / shape)), default=None)
    draft = Draft(
        prompt=as_prompt(words)[:PROMPT_MAX],
        size=None if nearest is None else f"{nearest[0]}x{nearest[1]}",
        seed=seed,
    )
    return compose(draft, catalog, nsfw=nsfw)


def as_prompt(words: str) -> str:
    """A description as the prompt that says it: nothing in it weighs, draws or names a thing."""
    plain = _FLAG.sub("", words.translate(_DRAWN))
    return _SPECIAL.sub(r"\\\1", plain)
