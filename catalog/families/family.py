"""What the catalog and a request have to know of a model family; no part of it needs torch."""

from collections.abc import Iterable
from dataclasses import dataclass

from catalog.ranges import FloatRange, IntRange


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPreset:
    """The preset "draft": few steps at timesteps that were worked out for this family.

    spacing: name of the timesteps. steps: how many the published table has, no more and no fewer.
    schedulers: those that take timesteps from outside, the default first.
    """

    spacing: str
    steps: int
    schedulers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models of one architecture: what they have in common, and what may be asked of them.

    Sizes are in pixels, pairs of sizes are width and height.

    key: stable, for the code. name: for people.
    checkpoint_prefixes: every single-file checkpoint has a tensor that begins with each of them.
    adapter_bases: base models, in the words of `weight_files`, whose adapters fit.
    config: hub id of the configuration and tokenizers that complete a single-file checkpoint.
    size: what it paints best. pixel_step: both sides are multiples of it.
    bucket_step: of the sides that it was trained on. shapes: that people ask for, width to height.
    min_side, max_side, max_pixels: defaults of an entry's bounds.
    hires_max_pixels, hires_max_side: of a finished picture after the second pass.
    steps, guidance: defaults of an entry's bounds. schedulers: that it works with, default first.
    takes_negative: whether a negative prompt has a meaning. takes_emphasis: whether brackets have.
    takes_clip_skip: whether there are layers of a text encoder to choose from.
    takes_image: whether a picture can be painted over. takes_reference: whether one can guide it.
    adapts_text: whether a LoRA changes text encoders too, with a weight of its own.
    draft: the preset of that name, None without one.
    fast_steps, fast_guidance: least and most in the preset "fast"; more undoes the distillation.
    """

    key: str
    name: str
    checkpoint_prefixes: tuple[str, ...]
    adapter_bases: tuple[str, ...]
    config: str
    size: tuple[int, int]
    pixel_step: int
    bucket_step: int
    shapes: tuple[tuple[int, int], ...]
    min_side: int
    max_side: int
    max_pixels: int
    hires_max_pixels: int
    hires_max_side: int
    steps: IntRange
    guidance: FloatRange
    schedulers: tuple[str, ...]
    takes_negative: bool
    takes_emphasis: bool
    takes_clip_skip: bool
    takes_image: bool
    takes_reference: bool
    adapts_text: bool
    draft: DraftPreset | None
    fast_steps: tuple[int, int]
    fast_guidance: tuple[float, float]

    def recognises(self, tensors: Iterable[str]) -> bool:
        """Whether a single-file checkpoint with tensors of these names is of this family."""
        names = tuple(tensors)
        return all(
            any(name.startswith(prefix) for name in names) for prefix in self.checkpoint_prefixes
        )
