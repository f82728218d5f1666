"""ImageInfo: how an image says that it was generated, whichever program wrote it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file of weights as the program names it.

    hashes: in lower-case hexadecimal digits, of any of the usual kinds and lengths.
    """

    name: str
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name or next(iter(self.hashes), "")


@dataclass(frozen=True, slots=True)
class NamedLora(NamedFile):
    """weight: None if it is not said. text_weight: of the text encoders; None if it is the same."""

    weight: float | None = None
    text_weight: float | None = None

    def __str__(self) -> str:
        weights = (self.weight, self.text_weight)
        return ":".join([self.name, *(f"{weight:g}" for weight in weights if weight is not None)])


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """None, or empty, is what the image does not say. Nothing is checked against any limit.

    program: which wrote it. prompt, negative: without tags that load LoRAs.
    variation: what is mixed into the noise of `seed`, such as `12:0.2`.
    schedule: of the noise levels, where it is named apart from the sampler.
    size: width and height of the first pass.
    hires: the scale of a second pass, with its steps and its denoising strength.
    strength: the denoising strength with which an image was painted over.
    detail: what was found in the finished image and painted again, such as `face, hand:0.3`.
    tile: whether opposite edges meet.
    rest: everything else that it says, in its words.
    """

    program: str
    prompt: str = field(default="", repr=False)
    negative: str = field(default="", repr=False)
    seed: int | None = None
    variation: str = ""
    steps: int | None = None
    guidance: float | None = None
    sampler: str = ""
    schedule: str = ""
    size: tuple[int, int] | None = None
    model: NamedFile | None = None
    loras: tuple[NamedLora, ...] = ()
    clip_skip: int | None = None
    hires: float | None = None
    hires_steps: int | None = None
    hires_strength: float | None = None
    strength: float | None = None
    detail: str = field(default="", repr=False)
    tile: bool | None = None
    rest: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def says_something(self) -> bool:
        """Whether there is anything in it that an image could be made with."""
        return bool(self.prompt or self.model) or not (self.seed is self.steps is None)
