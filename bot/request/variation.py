"""Variations: an image's noise with some of another seed's mixed in, and how they are typed.

`12:0.2` goes a fifth of the way from the noise of the image's own seed to that of seed 12;
`12:0.2, 99:0.1` then a tenth of the way from there to that of 99, a variation of a variation.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from bot.errors import InvalidRequest
from bot.request.parts import RANDOM, SEED_MAX

MIXES_MAX: Final = 8
"""How often an image may be varied, one variation of the other."""
_SEED: Final = re.compile(r"-1|[0-9]{1,19}")
STRENGTH: Final = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DECIMAL_COMMA: Final = re.compile(r"((?:^|[:,])\s*[01]),([0-9]+)(?=\s*(?:,|$))")
"""Of a strength, as in much of Europe, with no blank that would make it part two of them."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Noise to mix in.

    seed: whose noise. strength: 0–1, how far along the way to it; at 1 nothing else is left.
    """

    seed: int
    strength: float

    def __str__(self) -> str:
        """As it is typed; reading it gives the same number again."""
        return f"{self.seed}:{number_as_typed(self.strength)}"


@dataclass(frozen=True, slots=True)
class Variation:
    """What the images of a request are variations of.

    seed: of the image that is varied, 0 … SEED_MAX. strength: of what is mixed into its noise last,
    which is the noise of each image's own seed. before: what was mixed in before that, in order, so
    that this varies a variation.
    """

    seed: int
    strength: float
    before: tuple[Mix, ...] = ()

    def mixes(self, seed: int) -> tuple[Mix, ...]:
        """All that is mixed in for the image with this seed of its own, in order."""
        return (*self.before, Mix(seed, self.strength))

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        before = tuple(Mix(**mix) for mix in data["before"])
        return cls(data["seed"], data["strength"], before)


def weights(seed: int, mixes: Sequence[Mix]) -> dict[int, float]:
    """How much of each seed's noise is in an image's: the factors of their sum, `seed` first.

    From one noise to the next along a great circle, in closed form: cos(s·π/2) of what there is and
    sin(s·π/2) of what comes. Noises of different seeds are independent, and the squares of their
    factors add up to 1, so the sum of these standard normal noises is exactly standard normal
    again. A seed that comes twice brings the same noise twice; the length is put right for that.
    """
    factors = {seed: 1.0}
    for mix in mixes:
        angle = mix.strength * math.pi / 2
        factors = {each: factor * math.cos(angle) for each, factor in factors.items()}
        factors[mix.seed] = factors.get(mix.seed, 0.0) + math.sin(angle)
        length = math.hypot(*factors.values())
        factors = {each: factor / length for each, factor in factors.items()}
    return factors


def parse_variation(text: str, draw: Callable[[], int]) -> tuple[Mix, ...]:
    """What is typed, in order. A seed that is not given, or is -1, is drawn.

    What is mixed in with no strength changes nothing and is left out. Raises InvalidRequest.
    """
    parts = [part.strip() for part in _DECIMAL_COMMA.sub(r"\1.\2", text).split(",")]
    if parts == [""]:
        return ()
    check_length(len(parts))
    mixes = (_mix(part, draw) for part in parts)
    return tuple(mix for mix in mixes if mix.strength > 0)


def check_length(mixes: int) -> None:
    """Raise InvalidRequest for more of them than there may be."""
    if mixes > MIXES_MAX:
        raise InvalidRequest("variation", "variation.many", value=mixes, max=MIXES_MAX)


def _mix(text: str, draw: Callable[[], int]) -> Mix:
    seed, colon, strength = (part.strip() for part in text.rpartition(":"))
    if not STRENGTH.fullmatch(strength) or (colon and not _SEED.fullmatch(seed)):
        raise InvalidRequest("variation", "variation.form", value=text)
    share = float(strength)
    if not 0 <= share <= 1:
        raise InvalidRequest("variation", "variation.strength", value=strength)
    wanted = int(seed) if colon else RANDOM
    if wanted > SEED_MAX:
        raise InvalidRequest("variation", "variation.seed", value=wanted, min=0, max=SEED_MAX)
    return Mix(draw() if wanted == RANDOM else wanted, share)


def variation_text(mixes: Sequence[Mix]) -> str:
    """`12:0.2, 99:0.1`: as it is typed."""
    return ", ".join(map(str, mixes))


def number_as_typed(number: float) -> str:
    """As short as it can be and still be read as the same number."""
    return repr(float(number)).removesuffix(".0")
