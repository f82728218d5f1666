"""What models and LoRAs are called that were distilled for few steps, and how each kind is sampled.

Anyone may distil a UNet: with the same tensors as before, only its name says it. The schedulers and
the guidance are those of the cards of ByteDance/SDXL-Lightning and ByteDance/Hyper-SD (timesteps
"trailing", no guidance), stabilityai/sdxl-turbo (the same, 1 to 4 steps), tianweiy/DMD2 (LCM, 4
steps), latent-consistency/lcm-lora-sdxl (4 to 8) and h1t/TCD-SDXL-LoRA. DDIM without noise, which
some of them name, is Euler.
"""

from collections.abc import Iterable
from typing import Final

from catalog.families.family import Distillation, DraftPreset, Variant
from catalog.families.naming import steps_word, together
from catalog.ranges import FloatRange, IntRange

_STEPS_NAMED: Final = range(1, 13)
"""How many steps a name may say that it is distilled for; more are those of its training."""
_USUAL: Final = 8
_TRAILING: Final = "Euler trailing"

_BEFORE: Final = ("", "sd", "xl", "sdxl")
"""What capitals may make one word with the next: `wildcardxXLTURBO`."""


def _written(*words: str) -> tuple[str, ...]:
    return tuple(before + word for before in _BEFORE for word in words)


_KINDS: Final = (
    *(Distillation(words=(steps_word(n),), steps=n) for n in _STEPS_NAMED),
    Distillation(words=_written("turbo"), steps=4),
    Distillation(words=_written("lcm", "dmd"), scheduler="LCM"),
    Distillation(words=_written("tcd"), scheduler="TCD"),
)
_WORDS: Final = (
    *_written("lightning", "hyper"),
    *(word for kind in _KINDS for word in kind.words),
)

DISTILLED: Final = Variant(
    name="distilled",
    words=_WORDS,
    steps=IntRange(min=1, default=_USUAL, max=30),
    # Most want none; some that were merged with others, or keep it (Hyper-SD's "CFG"), take more.
    guidance=FloatRange(min=1.0, default=1.0, max=10.0),
    takes_negative=True,
    distilled=True,
    scheduler=_TRAILING,
    kinds=_KINDS,
    draft=DraftPreset(steps=4),
)
"""Of a family whose denoiser is a UNet."""


def are_of_few_steps(names: Iterable[str]) -> bool:
    """Whether a LoRA with these names makes a model one for few steps."""
    found = together(names, _WORDS)
    return bool(found.said) and not found.denied
