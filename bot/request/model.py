"""GenerationRequest: everything a generated image depends on, except the weights on disk."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from bot.request import emphasis
from catalog.families import DEFAULT

DRAFT: Final = "draft"
FAST: Final = "fast"
PRESETS: Final = (DRAFT, FAST)

CRISP: Final = "crisp"
REPAINT: Final = "repaint"
UPSCALE_MODES: Final = (CRISP, REPAINT)

SEED_MAX = 2**32 - 1
"""The highest seed, as in AUTOMATIC1111's web UI; the lowest is 0."""


@dataclass(frozen=True, slots=True)
class AdapterUse:
    """One LoRA of a request: its catalog key and the weights it is applied with.

    weight: for the UNet. text_weight: for the text encoders; None means the same as `weight`.
    """

    key: str
    weight: float
    text_weight: float | None = None

    def __str__(self) -> str:
        """As a user types it: `anime-style:0.8`, or `anime-style:0.8:0.5` with a text weight."""
        weights = [self.weight]
        if self.text_weight not in (None, self.weight):
            weights.append(self.text_weight or 0.0)
        return ":".join([self.key, *(f"{weight:g}" for weight in weights)])


@dataclass(frozen=True, slots=True)
class EmbeddingUse:
    """One embedding of a request: its catalog key, and the word that stands for it.

    word: as it is in the prompt, such as `embedding:fine-hands`; wherever it stands there, in any
        case, the text encoders read the embedding's vectors instead.
    """

    key: str
    word: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Hires:
    """A second pass over the finished image, enlarged.

    scale: of both sides. strength: share of the steps to run again, 0.05–1.0.
    steps: of the whole schedule; `taken` of them are run.
    """

    scale: float
    strength: float
    steps: int

    @property
    def taken(self) -> int:
        """How many steps at the end of the schedule are run: as diffusers counts, at least 1."""
        return max(1, int(self.steps * self.strength))


@dataclass(frozen=True, slots=True)
class InitImage:
    """An image to start from (img2img).

    sha256: 64 hex digits, of the PNG that bot.files.inputs keeps. strength: how much of it is
    changed, 0.05–1.0; at 1.0 only its size is left.
    """

    sha256: str
    strength: float


@dataclass(frozen=True, slots=True)
class Reference:
    """An image whose content and style guide generation (IP-Adapter, arXiv 2308.06721).

    sha256: as in InitImage. weight: of the cross-attention to it, 0–1.5.
    """

    sha256: str
    weight: float


@dataclass(frozen=True, slots=True)
class Upscale:
    """An image to enlarge, instead of generating one.

    sha256: as in InitImage. upscaler: its catalog key. scale: of both sides.
    mode: CRISP, the upscaler alone, or REPAINT, which then generates over the enlarged image.
    strength: of REPAINT: the share of the steps that are run, 0.05–1.0; None for CRISP.
    """

    sha256: str
    upscaler: str
    scale: float
    mode: str
    strength: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A validated request in which every default is already resolved.

    Generating it again gives the same image even if the catalog has changed: trigger words, the
    negative prompt, the scheduler and the seed are stored here, not looked up again.

    prompt: as the user wrote it, without `<lora:…>` tags.
    model: key of the checkpoint; "" if none is needed, which only a CRISP upscale has.
    trigger_words: words of the adapters that the prompt lacked; see `painted_prompt`.
    seed: of the first image, 0 … SEED_MAX; image n uses `image_seed(n)`.
    scheduler: an AUTOMATIC1111 sampler name, one of `catalog.SCHEDULERS`.
    clip_skip: counted as in AUTOMATIC1111: None or 2 is SDXL's own layer, 3 the one before it.
    preset: which of PRESETS filled in options the user omitted; its values are stored here too.
    spacing: AYS, or None for the scheduler's own timesteps.
    hires, init_image, reference: None if not requested.
    kernels: "eager" or "compiled", whichever generated the image that this repeats; None: either.
    embeddings: of both prompts, so that later ones of the same names change nothing.
    upscale: the image to enlarge; width and height are then its own.
    """

    prompt: str = field(repr=False)
    negative: str = field(repr=False)
    model: str
    adapters: tuple[AdapterUse, ...] = ()
    trigger_words: tuple[str, ...] = ()
    steps: int
    guidance: float
    seed: int
    width: int
    height: int
    count: int = 1
    scheduler: str
    clip_skip: int | None = None
    preset: str | None = None
    spacing: str | None = None
    hires: Hires | None = None
    init_image: InitImage | None = None
    reference: Reference | None = None
    kernels: str | None = None
    embeddings: tuple[EmbeddingUse, ...] = ()
    upscale: Upscale | None = None

    @property
    def painted_prompt(self) -> str:
        """What the text encoders see: the prompt, then the trigger words it lacked.

        A bracket left open in the prompt does not extend to them.
        """
        return emphasis.join((self.prompt, *self.trigger_words))

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the finished image: after the second pass, if there is one."""
        if self.upscale is not None:
            return upscaled(self.width, self.height, self.upscale.scale)
        if self.hires is None:
            return self.width, self.height
        return enlarged(self.width, self.hires.scale), enlarged(self.height, self.hires.scale)

    @property
    def names(self) -> tuple[str, ...]:
        """The catalog keys of everything it needs."""
        model = (self.model,) if self.model else ()
        upscaler = (self.upscale.upscaler,) if self.upscale else ()
        return (*model, *(use.key for use in self.adapters), *self.embedding_keys, *upscaler)

    @property
    def made_with(self) -> str:
        """The catalog key of what makes the images: the checkpoint, or else the upscaler."""
        return self.model or (self.upscale.upscaler if self.upscale else "")

    @property
    def embedding_keys(self) -> tuple[str, ...]:
        """The catalog keys of `embeddings`, each once."""
        return tuple(dict.fromkeys(use.key for use in self.embeddings))

    @property
    def inputs(self) -> tuple[str, ...]:
        """sha256 of each input image that bot.files.inputs has to keep for this request."""
        parts = (self.init_image, self.reference, self.upscale)
        return tuple(part.sha256 for part in parts if part)

    def image_seed(self, n: int) -> int:
        """The seed of image `n`, counted from 0; wraps around to 0 after SEED_MAX."""
        return (self.seed + n) % (SEED_MAX + 1)

    def with_seed(self, seed: int) -> Self:
        """The same with another seed. It repeats no earlier image, so either kernels will do."""
        return replace(self, seed=seed, kernels=None)

    def with_kernels(self, kernels: str | None) -> Self:
        """The same, to be generated with the kernels of an earlier image."""
        return replace(self, kernels=kernels)

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON types; `from_dict` reads it back."""
        data = asdict(self)
        if not self.embeddings:
            del data["embeddings"]  # so that requests without any are stored as ever
        if self.upscale is None:
            del data["upscale"]
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read a stored request of any version: fields it does not have yet get their defaults."""
        parts: dict[str, Any] = {
            "adapters": tuple(AdapterUse(**use) for use in data["adapters"]),
            "trigger_words": tuple(data["trigger_words"]),
            "embeddings": tuple(EmbeddingUse(**use) for use in data.get("embeddings", ())),
        }
        kinds = {"hires": Hires, "init_image": InitImage, "reference": Reference}
        for name, kind in {**kinds, "upscale": Upscale}.items():
            if data.get(name) is not None:
                parts[name] = kind(**data[name])
        return cls(**{**data, **parts})


def upscaled(width: int, height: int, scale: float) -> tuple[int, int]:
    """The size of an image of these sides, enlarged by an upscaler: any whole number of pixels."""
    return round(width * scale), round(height * scale)


def enlarged(side: int, scale: float) -> int:
    """`side` pixels × `scale`, rounded to a multiple that the model family can generate."""
    step = DEFAULT.pixel_step  # stored requests do not name their family
    return round(side * scale / step) * step
