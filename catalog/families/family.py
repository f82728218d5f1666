"""What the catalog and requests need to know about a model family, without torch."""

from dataclasses import dataclass

from catalog.ranges import FloatRange, IntRange


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPreset:
    """The preset "draft": few steps, at timesteps optimised for this family.

    spacing: name of the timesteps. steps: exactly as many as the published table has.
    schedulers: those that accept custom timesteps, the default first.
    """

    spacing: str
    steps: int
    schedulers: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models of one architecture: what they have in common and what they support.

    Sizes are in pixels, pairs of sizes are width and height.

    key: stable, for the code. name: for users.
    adapter_bases: base models, as named in `weight_files`, whose adapters fit.
    config: hub id of the configuration and tokenizers that complete a single-file checkpoint.
    size: what it generates best. pixel_step: both sides are multiples of it.
    bucket_step: of the sides it was trained on. shapes: usual aspect ratios, width to height.
    min_side, max_side, max_pixels: defaults of an entry's bounds.
    hires_max_pixels, hires_max_side: of a finished image after the second pass.
    steps, guidance: defaults of an entry's bounds. schedulers: supported ones, default first.
    takes_negative: whether negative prompts work. takes_emphasis: whether brackets do.
    takes_clip_skip: whether there are layers of a text encoder to choose from.
    takes_image: whether it can start from an image. takes_reference: whether one can guide it.
    pictures_max: how many images it can edit by what is said about them; 0 if it cannot.
    adapts_text: whether LoRAs also change the text encoders, with a weight of their own.
    draft: the preset "draft", None if there is none.
    fast_steps, fast_guidance: bounds in the preset "fast"; more undoes the distillation.
    """

    key: str
    name: str
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
    pictures_max: int
    adapts_text: bool
    draft: DraftPreset | None
    fast_steps: tuple[int, int]
    fast_guidance: tuple[float, float]
