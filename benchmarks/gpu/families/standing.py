"""The engine as it is on another card, or with other settings, without reading the files again."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.gpu.families.bench import Bench
from benchmarks.gpu.families.models import Model
from bot.engine.memory import GIB, Profile, room
from bot.engine.weights.eight_bits import EightBitLinear

WHOLE: Final = "whole"
EIGHT_BITS: Final = "8 bits"
STREAMED: Final = "streamed"
EIGHT_BITS_STREAMED: Final = f"{EIGHT_BITS}, {STREAMED}"


@dataclass(frozen=True, slots=True)
class Way:
    """How a model is there. name: for people. profile, weights: the Engine's `memory`, `weights`.

    kind: one of WHOLE, EIGHT_BITS, STREAMED and EIGHT_BITS_STREAMED.
    """

    name: str
    profile: Profile
    weights: str
    kind: str

    def check(self, bench: Bench) -> None:
        """Raise RuntimeError unless the denoiser that is loaded is there in that way.

        Its figures would stand for something else.
        """
        part: Any = bench.resident.parts[bench.resident.family.denoiser]
        eight = any(isinstance(inner, EightBitLinear) for inner in part.module.modules())
        turning = bool(part._arrangement.by_turns)
        found = ", ".join([EIGHT_BITS] * eight + [STREAMED] * turning) or WHOLE
        if found != self.kind:
            raise RuntimeError(f"{self.name}: the denoiser is there {found}, not {self.kind}")


USUAL: Final = Way(WHOLE, Profile.FULL, "full", WHOLE)
_SMALLER: Final = (Profile.GB16, Profile.GB11, Profile.GB8)


def on_card(model: Model, profile: Profile) -> tuple[Way, ...]:
    """The ways in which a model is on a card of that size: by itself, and with 16-bit weights."""
    if profile not in model.family.too_large_on:
        return (Way(f"{profile.value}, {WHOLE}", profile, "auto", WHOLE),)
    kind = EIGHT_BITS_STREAMED if _too_large_in_8(model, profile) else EIGHT_BITS
    return (
        Way(f"{profile.value}, {kind}", profile, "auto", kind),
        Way(f"{profile.value}, {STREAMED}", profile, "full", STREAMED),
    )


def parked(model: Model) -> Way:
    """Whole, on the smallest card where it is: its networks leave while they have nothing to do.

    A large one, where it is on none of these.
    """
    fitting = [each for each in _SMALLER if each not in model.family.too_large_on]
    profile = fitting[-1] if fitting else Profile.FULL
    return Way(f"parked, as on {profile.value}", profile, "full", WHOLE)


def streamed(model: Model) -> Way | None:
    """With as few blocks on the device as on any card; None if it is whole on all."""
    large = [each for each in _SMALLER if each in model.family.too_large_on]
    if not large:
        return None
    return Way(f"streamed, as on {large[-1].value}", large[-1], "full", STREAMED)


def in_eight_bits() -> Way:
    """With all of the networks on the device."""
    return Way(EIGHT_BITS, Profile.FULL, "int8", EIGHT_BITS)


def streamed_in_eight_bits(model: Model) -> Way | None:
    """With as few blocks on the device as on any card; None if it is whole on all."""
    large = [each for each in _SMALLER if _too_large_in_8(model, each)]
    if not large:
        return None
    kind = EIGHT_BITS_STREAMED
    return Way(f"{kind}, as on {large[-1].value}", large[-1], "int8", kind)


def _too_large_in_8(model: Model, profile: Profile) -> bool:
    """Whether the denoiser has too little room there, even in 8 bits."""
    left, denoiser = room(profile, model.family.too_large_on), model.facts.parts[0]
    return left is not None and denoiser.gib_in_8 * GIB > left


@contextmanager
def standing(bench: Bench, way: Way) -> Iterator[None]:
    """Meanwhile, the engine is as one with the `memory` and `weights` of `way`.

    It builds and fills its networks anew, from the weights that it keeps in RAM.
    """
    painter = bench.painter
    before = painter.profile, painter._weights
    painter.free()
    painter.profile, painter._weights = way.profile, way.weights
    try:
        yield
    finally:
        painter.free()
        painter.profile, painter._weights = before
