"""What the catalog and requests need to know about a model family, without torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from catalog.families.files import PipelineFiles
from catalog.families.recognition import Transformer, UNet
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


class Guidance(StrEnum):
    """How a model is guided towards its prompt.

    CFG: classifier-free (arXiv 2207.12598), by two predictions at each step. NONE: it was distilled
    from one that was, and predicts once.
    """

    CFG = "cfg"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Models of one family that are sampled in one way, although their files look like others'.

    name: as in `ModelEntry.variant`. marks: parts of names, in lower case, that tell it.
    steps, guidance: defaults of an entry's bounds; a guidance of at most 1 is none.
    takes_negative: whether negative prompts work.
    """

    name: str
    marks: tuple[str, ...] = ()
    steps: IntRange
    guidance: FloatRange
    takes_negative: bool

    @property
    def guided(self) -> Guidance:
        """The kind of its guidance."""
        return Guidance.CFG if self.guidance.max > 1 else Guidance.NONE


@dataclass(frozen=True, slots=True)
class PromptLimit:
    """How long a prompt may be.

    tokens: that the text encoder reads at once, with those of a template around it. chunks: how
    many times it reads as many; with 1, a longer prompt is refused.
    """

    tokens: int
    chunks: int = 1


@dataclass(frozen=True, slots=True)
class Part:
    """A network of a model, as far as it is read.

    name: its folder in a diffusers pipeline. gib: of its weights in 16 bits, in GiB. gib_in_8: with
    its large matrices in 8 bits.
    """

    name: str
    gib: float
    gib_in_8: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models of one architecture: what they have in common and what they support.

    Sizes are in pixels, pairs of sizes are width and height.

    key: stable, for the code; its folder has it. place: among the families, where they are listed.
    name: for users. licence: of its authors' own models.
    architectures: its models, as named in `weight_files`.
    adapter_bases: base models, as named in `weight_files`, whose adapters fit.
    recognition: what tells its files from all others.
    text_encoders: those that an embedding has to have vectors for, by their folders.
    files: of a model in diffusers' layout.
    vae: what its VAE is called in `weight_files`, and so any other that can stand in for it.
    config: hub id of the configuration and tokenizers that complete a single-file checkpoint.
    lent: the networks that come with that as well where a single file has not got them, each with
        what the names of its tensors begin with in a file that has.
    repositories: hub ids, in lower case, of models of this family; for those that are not
        downloaded yet.
    parts: their networks, in the order in which they are loaded, the denoiser first.
    prompt: how long one may be.
    variants: how they are sampled; of several, the first whose marks are in a model's names.
    work: of one evaluation of the denoiser at `size`, in 10¹² floating-point operations.
    size: what it generates best. pixel_step: both sides are multiples of it.
    bucket_step: of the sides it was trained on. shapes: usual aspect ratios, width to height.
    min_side, max_side, max_pixels: defaults of an entry's bounds.
    hires_max_pixels, hires_max_side: of a finished image after the second pass.
    schedulers: supported ones, default first.
    takes_emphasis: whether brackets in prompts work.
    clip_skip: the layers of a text encoder to choose from, counted from the last as 1; its default
        is what the family's pipelines read. None if there is no choice.
    takes_image: whether it can start from an image. takes_reference: whether one can guide it.
    pictures_max: how many images it can edit by what is said about them; 0 if it cannot.
    picture_side_min, picture_ratio_max: of each of these, the least width and height, and how many
        times as long as the short side the long one may be; None for any.
    adapts_text: whether LoRAs also change the text encoders, with a weight of their own.
    draft: the preset "draft", None if there is none.
    fast_steps, fast_guidance: bounds in the preset "fast"; more undoes the distillation.
    """

    key: str
    place: int
    name: str
    licence: str
    architectures: tuple[str, ...]
    adapter_bases: tuple[str, ...]
    recognition: Transformer | UNet
    text_encoders: tuple[str, ...]
    files: PipelineFiles
    vae: str
    config: str
    lent: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    repositories: frozenset[str] = frozenset()
    parts: tuple[Part, ...]
    prompt: PromptLimit
    variants: tuple[Variant, ...]
    work: float
    size: tuple[int, int]
    pixel_step: int
    bucket_step: int
    shapes: tuple[tuple[int, int], ...]
    min_side: int
    max_side: int
    max_pixels: int
    hires_max_pixels: int
    hires_max_side: int
    schedulers: tuple[str, ...]
    takes_emphasis: bool
    clip_skip: IntRange | None
    takes_image: bool
    takes_reference: bool
    pictures_max: int
    picture_side_min: int = 1
    picture_ratio_max: int | None = None
    adapts_text: bool
    draft: DraftPreset | None
    fast_steps: tuple[int, int]
    fast_guidance: tuple[float, float]

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its parts."""
        return tuple(part.name for part in self.parts)

    def variant(self, name: str | None, names: Iterable[str]) -> Variant | None:
        """The variant called `name`, or else the one that `names` tell; None if none is meant.

        names: of a model, its hub id and its file.
        """
        if name is not None:
            return next((each for each in self.variants if each.name == name), None)
        if len(self.variants) == 1:
            return self.variants[0]
        said = " ".join(names).casefold()
        told = (each for each in self.variants if any(mark in said for mark in each.marks))
        return next(told, None)
