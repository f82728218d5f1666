"""Answers: what a worker leaves in the broker for an order, and the bot reads."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bot.errors import WireError
from bot.painting import Painting
from bot.request import GenerationRequest
from bot.texts.language import Texts
from bot.wire import failures, paintings
from bot.wire.codec import JSON_MAX
from bot.wire.paintings import SentPainting

ANSWER_MAX: Final = JSON_MAX + 1
_PAINTING, _FAILURE = b"P", b"F"


@dataclass(frozen=True, slots=True)
class Answer:
    """data: a letter for its kind, then JSON. images: the pixels of each."""

    data: bytes
    images: Sequence[bytes] = ()


def result_of(painting: Painting) -> Answer:
    pixels = tuple(painted.image.tobytes() for painted in painting.images)
    return Answer(_PAINTING + paintings.encode(painting), pixels)


def failure_of(error: BaseException, texts: Collection[str] = ()) -> Answer:
    """texts: of the request, which nothing that is logged may have."""
    return Answer(_FAILURE + failures.encode(error, texts))


def read(data: bytes, request: GenerationRequest, texts: Texts) -> SentPainting:
    """The painting of `request`, without its pixels.

    Raises what the engine raised there, and WireError for what is no answer.
    """
    if len(data) > ANSWER_MAX:
        raise WireError(f"answer: more than {ANSWER_MAX} bytes")
    kind, rest = data[:1], data[1:]
    if kind == _PAINTING:
        return paintings.decode(rest, request, texts)
    if kind == _FAILURE:
        raise failures.decode(rest, texts)
    raise WireError("answer: allowed is a painting or a failure")
