"""What the catalog and requests need to know about a model family, without torch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from catalog.families.files import PipelineFiles
from catalog.families.naming import heard, together, words_of
from catalog.families.recognition import Transformer, UNet
from catalog.families.stated import NOTHING, Stated
from catalog.predictions import PREDICTIONS
from catalog.ranges import FloatRange, IntRange

_DISTILLED: Final = frozenset(("distill", "distilled", "distillation"))
"""Words that names deny where the distillation was undone: `de-distill`, `undistilled`."""
HALF: Final = 0.7
"""Of the sides, so of half the pixels: 720² of 1024²."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftPreset:
    """The preset "draft": a quick look.

    steps: as many at most, or exactly as many as the published table of `spacing` has.
    spacing: name of timesteps that were optimised for the family; None for its usual ones.
    schedulers: those that accept custom timesteps, the default first; none: all.
    scale: of the sides, where no size is asked for; of the model's usual size.
    """

    steps: int
    spacing: str | None = None
    schedulers: tuple[str, ...] = ()
    scale: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Distillation:
    """A way to distil models of a variant, told by one of `words` in a name.

    steps, scheduler: usual ones, None for the variant's.
    """

    words: tuple[str, ...]
    steps: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """Models of one family that are sampled in one way, although their files look like others'.

    name: as in `ModelEntry.variant`. words: in lower case, of which a name that has one tells it.
    usually: words that tell it where a name has nothing like a word of any other.
    plain: whether it is what a model is of which nothing tells the variant, or not clearly. Where
        no variant is, such a model cannot be used.
    steps, guidance: defaults of an entry's bounds; a guidance of at most 1 is none.
    embedded: whether its guidance is a number that the denoiser is told, which follows the prompt
        accordingly with one evaluation. If not, it is the difference between two.
    takes_negative: whether negative prompts work.
    edits: whether it edits images, where its family does.
    tokens: of its prompts, where there is room for fewer than in its family.
    distilled: whether it is made for few steps, which are also its preset "fast".
    scheduler: the usual one; None for the first of the family. kinds: of distillation, where names
        tell them; the first that is told counts for more than the above.
    config: hub id of its authors' repository, whose configuration completes a file of it; None for
        the family's. shift: of its noise levels, where that tells it from the others.
    draft: the preset "draft", None if there is none.
    """

    name: str
    words: tuple[str, ...] = ()
    usually: tuple[str, ...] = ()
    plain: bool = False
    steps: IntRange
    guidance: FloatRange
    embedded: bool = False
    takes_negative: bool
    edits: bool = True
    tokens: int | None = None
    distilled: bool = False
    scheduler: str | None = None
    kinds: tuple[Distillation, ...] = ()
    config: str | None = None
    shift: float | None = None
    draft: DraftPreset | None = None

    def habits(self, names: Iterable[str]) -> tuple[IntRange, str | None]:
        """Steps, and the usual scheduler or None for the family's, of a model with these names."""
        said = [word for name in names for word in words_of(name)]
        told = [kind for kind in self.kinds if any(word in said for word in kind.words)]
        steps = next((kind.steps for kind in told if kind.steps), self.steps.default)
        scheduler = next((kind.scheduler for kind in told if kind.scheduler), self.scheduler)
        return self.steps.model_copy(update={"default": steps}), scheduler


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
    encoder: the same for its text encoder; None where no other can.
    config: hub id of the configuration and tokenizers that complete a single-file checkpoint, and
        of the text encoders and VAE that it may lack: all variants have the same.
    lent: the networks that come with that as well where a single file has not got them, each with
        what the names of its tensors begin with in a file that has.
    repositories: hub ids, in lower case, of models of this family; for those that are not
        downloaded yet.
    parts: their networks, in the order in which they are loaded, the denoiser first.
    prompt: how long one may be.
    variants: how they are sampled; see `told`.
    work: of one evaluation of the denoiser at `size`, in 10¹² floating-point operations.
    size: what it generates best. pixel_step: both sides are multiples of it.
    bucket_step: of the sides it was trained on. shapes: usual aspect ratios, width to height.
    min_side, max_side, max_pixels: defaults of an entry's bounds.
    hires_max_pixels, hires_max_side: of a finished image after the second pass.
    schedulers: supported ones, default first.
    predictions: what its models may have been trained to predict.
    takes_emphasis: whether brackets in prompts work.
    clip_skip: the layers of a text encoder to choose from, counted from the last as 1; its default
        is what the family's pipelines read. None if there is no choice.
    takes_image: whether it can start from an image. takes_reference: whether one can guide it.
    takes_control: whether ControlNets can make it follow one. takes_tile: whether opposite edges of
        its images can be made to meet.
    pictures_max: how many images it, or one of its variants, can edit by what is said about them; 0
        if it cannot.
    picture_side_min, picture_ratio_max: of each of these, the least width and height, and how many
        times as long as the short side the long one may be; None for any.
    adapts_text: whether LoRAs also change the text encoders, with a weight of their own.
    fast_steps, fast_guidance: bounds in the preset "fast"; more undoes the distillation.
    """

    key: str
    place: int
    name: str
    licence: str
    architectures: tuple[str, ...]
    adapter_bases: tuple[str, ...]
    recognition: Transformer | UNet
    text_encoders: tuple[str, ...] = ()
    files: PipelineFiles
    vae: str
    encoder: str | None = None
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
    predictions: tuple[str, ...] = PREDICTIONS
    takes_emphasis: bool
    clip_skip: IntRange | None = None
    takes_image: bool = True
    takes_reference: bool = False
    takes_control: bool = False
    takes_tile: bool = False
    pictures_max: int = 0
    picture_side_min: int = 1
    picture_ratio_max: int | None = None
    adapts_text: bool
    fast_steps: tuple[int, int]
    fast_guidance: tuple[float, float]

    @property
    def takes_break(self) -> bool:
        """Whether BREAK starts a new chunk; it is a word where there is only one."""
        return self.takes_emphasis and self.prompt.chunks > 1

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its parts."""
        return tuple(part.name for part in self.parts)

    @property
    def configs(self) -> tuple[str, ...]:
        """Hub ids of all configurations that complete single-file checkpoints."""
        return (*dict.fromkeys(each.config or self.config for each in self.variants),)

    def named(self, name: str | None) -> Variant | None:
        """The variant that an entry calls so."""
        return next((each for each in self.variants if each.name == name), None)

    @property
    def plain(self) -> Variant | None:
        """The variant of a model of which nothing tells it; None where that has to be said."""
        return next((each for each in self.variants if each.plain), None)

    def told(
        self, names: Iterable[str], repository: str = "", stated: Stated = NOTHING
    ) -> Variant | None:
        """The variant that a model's files and names tell; None if they tell none. The plain one,
        if any, where they contradict each other or deny one, or only tell that it is not another.

        names: of its file, its repository or folder, and its entry; the first that tells counts.
        repository: its hub id. stated: counts for more, unless a name denies it.

        None, too, where its denoiser leaves only one possible, and what is said is another: one
        whose distillation was undone is sampled in a way of its own.
        """
        names = (*filter(None, names),)
        possible = self.possible(stated)
        if len(possible) == 1:
            (only,) = possible
            return None if self._otherwise(only, names, stated) else only
        words = {word: each.name for each in possible for word in each.words}
        in_files, in_names = together(stated.names, words), [heard(n, words) for n in names]
        if in_files.denied or any(each.denied for each in in_names):
            return self.plain
        told = {each.name for each in possible if each.name in self._matching(stated)}
        told |= {words[word] for word in in_files.said}
        for each in in_names:
            told = told or {words[word] for word in each.said}
        told = told or {each.name for each in possible if _same(each.config, repository)}
        if not told and not in_files.like and not any(each.like for each in in_names):
            spoken = {word for name in (*stated.names, *names) for word in words_of(name)}
            told = {each.name for each in possible if spoken.intersection(each.usually)}
        if len(told) > 1:
            return self.plain
        if told:
            return self.named(*told)
        return self.plain if len(possible) < len(self.variants) else None

    def possible(self, stated: Stated) -> tuple[Variant, ...]:
        """The variants that a model can be whose denoiser is, or is not, told its guidance."""
        return tuple(v for v in self.variants if stated.guided in {None, v.embedded})

    def _otherwise(self, only: Variant, names: Iterable[str], stated: Stated) -> bool:
        """Whether a model that can only be this variant is said to be another, or not distilled."""
        own = {*only.words, *only.usually}
        others = {word for each in self.variants for word in (*each.words, *each.usually)} - own
        said = together((*stated.names, *names), own | others | _DISTILLED)
        if only.distilled and (stated.distilled is False or said.denied & _DISTILLED):
            return True
        return bool(said.denied & own or (said.said & others and not said.said & own))

    def _matching(self, stated: Stated) -> set[str]:
        """The names of the variants that are as the files of a model say."""
        return {
            each.name
            for each in self.variants
            if stated.distilled == each.distilled
            or (stated.shift is not None and stated.shift == each.shift)
        }


def _same(config: str | None, repository: str) -> bool:
    return config is not None and config.casefold() == repository.casefold()
