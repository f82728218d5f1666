"""GenerationRequest: everything that one painted job depends on, besides the weights on disk."""

from dataclasses import asdict, dataclass, field, replace
from typing import Any, Self

from bot.request import emphasis

SEED_MAX = 2**32 - 1
"""Seeds run from 0 to this, as in AUTOMATIC1111's web UI."""


@dataclass(frozen=True, slots=True)
class AdapterUse:
    """One LoRA of a request: its catalog key and the weight it is applied with."""

    key: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRequest:
    """A validated request in which every default is already resolved.

    Painting it again gives the same picture whatever the catalog says by then: trigger words,
    the negative prompt, the scheduler and the seed are stored here, not looked up again.

    prompt: as the person wrote it, without `<lora:…>` tags.
    trigger_words: words of the adapters that the prompt did not have yet; see `painted_prompt`.
    seed: of the first image, 0 … SEED_MAX; image n uses `image_seed(n)`.
    scheduler: an AUTOMATIC1111 sampler name, one of `catalog.SCHEDULERS`.
    clip_skip: as AUTOMATIC1111 counts: None or 2 is SDXL's own layer, 3 the one before.
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

    @property
    def painted_prompt(self) -> str:
        """What the text encoders see: the prompt, then the trigger words it lacked.

        A bracket left open in the prompt does not reach them.
        """
        return emphasis.join((self.prompt, *self.trigger_words))

    def image_seed(self, n: int) -> int:
        """The seed of image `n`, counted from 0; past SEED_MAX it starts again at 0."""
        return (self.seed + n) % (SEED_MAX + 1)

    def with_seed(self, seed: int) -> Self:
        return replace(self, seed=seed)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; `from_dict` reads it back."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        adapters = tuple(AdapterUse(**use) for use in data["adapters"])
        words = tuple(data["trigger_words"])
        return cls(**{**data, "adapters": adapters, "trigger_words": words})
