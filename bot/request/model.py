"""GenerationRequest: everything a generated image depends on, except the weights on disk."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from bot.request import emphasis
from bot.request.editing import Editing, Turn, turns
from catalog.families import DEFAULT

DRAFT: Final = "draft"
FAST: Final = "fast"
PRESETS: Final = (DRAFT, FAST)

SEED_MAX = 2**32 - 1
"""The highest seed, as in AUTOMATIC1111's web UI; the lowest is 0."""
RANDOM: Final = -1
"""Asks for any seed, as it does there."""


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
class Template:
    """What was typed where prompts were drawn from it; see `bot.request.dynamic`.

    prompt, negative: without `<lora:…>` tags; None for a text that has nothing to draw.
    version: of the draw; `bot.request.dynamic.VERSION` at the time.
    """

    prompt: str | None = field(repr=False)
    negative: str | None = field(repr=False)
    version: int


@dataclass(frozen=True, slots=True)
class DrawnPrompts:
    """The texts of one image of a request; the fields mean the same as the request's."""

    prompt: str = field(repr=False)
    negative: str = field(repr=False)
    trigger_words: tuple[str, ...] = ()
    embeddings: tuple[EmbeddingUse, ...] = ()

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        words = tuple(data["trigger_words"])
        uses = tuple(EmbeddingUse(**use) for use in data["embeddings"])
        return cls(data["prompt"], data["negative"], words, uses)


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A validated request in which every default is already resolved.

    Generating it again gives the same image even if the catalog has changed: trigger words, the
    negative prompt, the scheduler and the seed are stored here, not looked up again.

    prompt: as the user wrote it, without `<lora:…>` tags; drawn if there is a template.
    trigger_words: words of the adapters that the prompt lacked; see `painted_prompt`.
    seed: of the first image, 0 … SEED_MAX; image n uses `image_seed(n)`.
    scheduler: an AUTOMATIC1111 sampler name, one of `catalog.SCHEDULERS`.
    clip_skip: counted as in AUTOMATIC1111: None or 2 is SDXL's own layer, 3 the one before it.
    preset: which of PRESETS filled in options the user omitted; its values are stored here too.
    spacing: AYS, or None for the scheduler's own timesteps.
    hires, init_image, reference: None if not requested.
    kernels: "eager" or "compiled", whichever generated the image that this repeats; None: either.
    embeddings: of both prompts, so that later ones of the same names change nothing.
    template: what the prompts were drawn from; None if they are as typed. They were drawn when it
    was asked for, so wildcard files that change later change nothing.
    others: the texts of the second image and those after it; empty if they have the first one's,
    which are the request's own. See `alone`.
    edits: whether `[from:to:when]` and `[a|b]` in the prompts change them while the image is
        generated; in requests of earlier versions they are words in brackets.
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
    template: Template | None = None
    others: tuple[DrawnPrompts, ...] = ()
    edits: bool = False

    @property
    def painted_prompt(self) -> str:
        """The prompt, then the trigger words it lacked.

        A bracket left open in the prompt does not extend to them.
        """
        return emphasis.join((self.prompt, *self.trigger_words))

    @property
    def turns(self) -> tuple[tuple[Turn, ...], ...]:
        """What the text encoders see, for each pass, from which of its steps on.

        The trigger words that the prompt lacked follow each of its texts.
        """
        passes: list[tuple[int, int | None]] = [(self.steps, None)]
        if self.hires is not None:
            passes.append((self.hires.taken, self.steps))
        if not self.edits:
            return ((Turn(0, self.painted_prompt, self.negative),),) * len(passes)
        prompt, negative = Editing(self.prompt), Editing(self.negative)
        return tuple(
            turns(
                [
                    (first, emphasis.join((text, *self.trigger_words)))
                    for first, text in prompt.schedule(steps, before)
                ],
                negative.schedule(steps, before),
            )
            for steps, before in passes
        )

    @property
    def painted_texts(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Every text of `turns` once: those of the prompt, those of the negative prompt."""
        every = [turn for each in self.turns for turn in each]
        prompts, negatives = ([t.prompt for t in every], [t.negative for t in every])
        return tuple(dict.fromkeys(prompts)), tuple(dict.fromkeys(negatives))

    @property
    def final_size(self) -> tuple[int, int]:
        """Width and height of the finished image: after the second pass, if there is one."""
        if self.hires is None:
            return self.width, self.height
        return enlarged(self.width, self.hires.scale), enlarged(self.height, self.hires.scale)

    @property
    def names(self) -> tuple[str, ...]:
        """The catalog keys of everything it needs."""
        return (self.model, *(use.key for use in self.adapters), *self.embedding_keys)

    @property
    def embedding_keys(self) -> tuple[str, ...]:
        """The catalog keys of the embeddings of all images, each once."""
        return tuple(dict.fromkeys(use.key for use in self.all_embeddings))

    @property
    def all_embeddings(self) -> tuple[EmbeddingUse, ...]:
        """The embeddings of all images, each way of naming one once."""
        uses: dict[str, EmbeddingUse] = {}
        for each in self.prompts:
            for use in each.embeddings:
                uses.setdefault(use.word.casefold(), use)
        return tuple(uses.values())

    @property
    def prompts(self) -> tuple[DrawnPrompts, ...]:
        """The texts of each image; a single one if all images have the same."""
        own = DrawnPrompts(self.prompt, self.negative, self.trigger_words, self.embeddings)
        return (own, *self.others)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every text that was typed or drawn for it, which no log may have."""
        typed = (self.template.prompt, self.template.negative) if self.template else ()
        drawn = (text for each in self.prompts for text in (each.prompt, each.negative))
        painted = (
            text
            for n in range(len(self.prompts))
            for texts in self.alone(n).painted_texts
            for text in texts
        )
        return tuple(text for text in (*typed, *drawn, *painted) if text)

    @property
    def inputs(self) -> tuple[str, ...]:
        """sha256 of each input image that bot.files.inputs has to keep for this request."""
        return tuple(part.sha256 for part in (self.init_image, self.reference) if part)

    def image_seed(self, n: int) -> int:
        """The seed of image `n`, counted from 0; wraps around to 0 after SEED_MAX."""
        return (self.seed + n) % (SEED_MAX + 1)

    def alone(self, n: int) -> Self:
        """The request for image `n` alone, counted from 0: it generates the same bytes."""
        own = self.prompts[n if self.others else 0]
        return replace(
            self,
            prompt=own.prompt,
            negative=own.negative,
            trigger_words=own.trigger_words,
            embeddings=own.embeddings,
            seed=self.image_seed(n),
            count=1,
            others=(),
        )

    def of_seed(self, seed: int) -> Self:
        """As `alone`, for the image that has this seed; the first one's if none has."""
        n = (seed - self.seed) % (SEED_MAX + 1)
        return self.alone(n if n < self.count else 0)

    def with_seed(self, seed: int) -> Self:
        """The same with another seed. It repeats no earlier image, so either kernels will do.

        The texts stay as they are; `bot.request.drawing.varied` draws them from the template.
        """
        return replace(self, seed=seed, kernels=None)

    def with_kernels(self, kernels: str | None) -> Self:
        """The same, to be generated with the kernels of an earlier image."""
        return replace(self, kernels=kernels)

    def to_dict(self) -> dict[str, Any]:
        """The request as JSON types; `from_dict` reads it back."""
        data = asdict(self)
        for name in ("embeddings", "template", "others", "edits"):
            if not data[name]:
                del data[name]  # so that requests without any are stored as ever
        return data

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read a stored request of any version: fields it does not have yet get their defaults."""
        parts: dict[str, Any] = {
            "adapters": tuple(AdapterUse(**use) for use in data["adapters"]),
            "trigger_words": tuple(data["trigger_words"]),
            "embeddings": tuple(EmbeddingUse(**use) for use in data.get("embeddings", ())),
            "others": tuple(map(DrawnPrompts.from_dict, data.get("others", ()))),
        }
        for name, kind in (
            ("hires", Hires),
            ("init_image", InitImage),
            ("reference", Reference),
            ("template", Template),
        ):
            if data.get(name) is not None:
                parts[name] = kind(**data[name])
        return cls(**{**data, **parts})


def enlarged(side: int, scale: float) -> int:
    """`side` pixels × `scale`, rounded to a multiple that the model family can generate."""
    step = DEFAULT.pixel_step  # stored requests do not name their family
    return round(side * scale / step) * step
