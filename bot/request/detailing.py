"""Painting what is small once more, at full size: how that is typed.

`face` finds the faces of the finished image and paints each again, `face, hand:0.3` the hands as
well, which then change less. Any word works that names something to be seen.
"""

import re
from dataclasses import replace
from typing import Final

from bot.errors import InvalidRequest, Refused
from bot.request.draft import Draft
from bot.request.model import GenerationRequest
from bot.request.parts import DETAIL_STRENGTH, DetailUse
from bot.request.pictures import STRENGTH, within
from catalog import Catalog, ModelEntry

DETAILS_MAX: Final = 3
"""How many words there may be."""
DETAIL_WORD_MAX: Final = 30
"""Characters of one."""
REGIONS_MAX: Final = 8
"""How many parts of an image are painted again; of more, those that are found most surely."""
FACE: Final = "face"
USUAL_WORDS: Final = (FACE, "hand", "eyes")
"""What is offered while somebody types."""

TEXT_MAX: Final = 200
"""Characters of all that is typed."""
_ASK: Final = re.compile(
    rf"(?P<word>[a-z][a-z' -]{{0,{DETAIL_WORD_MAX - 1}}}?)\s*"
    r"(?::\s*(?P<strength>\d(?:\.\d{1,6})?))?"
)
_DECIMAL_COMMA: Final = re.compile(r"(?<=:)(\s*\d),(\d+)")


def parse_details(text: str) -> tuple[DetailUse, ...]:
    """What is typed, in order. Raises InvalidRequest."""
    if len(text) > TEXT_MAX:
        raise InvalidRequest("detail", "detail.form", value=f"{text[:TEXT_MAX]}…")
    parts = re.split(r"[,\n]", _DECIMAL_COMMA.sub(r"\1.\2", text.casefold()))
    uses = tuple(_ask(typed) for part in parts if (typed := " ".join(part.split())))
    if len(uses) > DETAILS_MAX:
        raise InvalidRequest("detail", "detail.many", value=len(uses), max=DETAILS_MAX)
    words = [use.word for use in uses]
    if twice := next((word for word in words if words.count(word) > 1), None):
        raise InvalidRequest("detail", "detail.twice", value=twice)
    return uses


def _ask(text: str) -> DetailUse:
    match = _ASK.fullmatch(text)
    if match is None:
        raise InvalidRequest("detail", "detail.form", value=text)
    low, _, high = STRENGTH
    typed = float(match["strength"]) if match["strength"] else None
    strength = within("detail", typed, DETAIL_STRENGTH, low, high)
    return DetailUse(match["word"], strength)


def details(draft: Draft, catalog: Catalog, model: ModelEntry) -> tuple[DetailUse, ...]:
    """What of the finished images is painted again. Raises InvalidRequest or Refused."""
    uses = parse_details(draft.detail or "")
    if not uses:
        return ()
    if "image" in model.lacks:
        raise InvalidRequest("detail", "family.image", model=model.key, family=model.family.name)
    if draft.mask is not None or (draft.extend or "").strip():
        # It would change what is to be kept.
        raise InvalidRequest("detail", "detail.kept", value=draft.detail or "")
    if catalog.detector is None:
        raise Refused("detail.no_detector")
    return uses


def can_be_detailed(request: GenerationRequest, catalog: Catalog) -> bool:
    """Whether its images can be made again with their faces painted at full size."""
    model = catalog.models.get(request.model)
    if catalog.detector is None or model is None or "image" in model.lacks:
        return False
    keeps = request.init_image is not None and request.init_image.keeps
    single = request.comparison is None and request.upscale is None
    asked = {use.word for use in request.detail}
    return single and not keeps and FACE not in asked and len(asked) < DETAILS_MAX


def with_faces(request: GenerationRequest) -> GenerationRequest:
    """The same images, with their faces painted again."""
    return replace(request, detail=(*request.detail, DetailUse(FACE)))
