"""The parts of a GenerationRequest."""

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

from catalog.control_types import DEPTH, POSE

SEED_MAX: Final = 2**32 - 1
"""The highest seed, as in AUTOMATIC1111's web UI; the lowest is 0."""
RANDOM: Final = -1
"""Asks for any seed, as it does there."""
SEED_AXIS: Final = "seed"
"""The name of the axis along which seeds vary."""
CRISP: Final = "crisp"
REPAINT: Final = "repaint"
UPSCALE_MODES: Final = (CRISP, REPAINT)
SHORT: Final = "short"
DETAILED: Final = "detailed"
LONG: Final = "long"
TAGS: Final = "tags"
DESCRIBE_STYLES: Final = (SHORT, DETAILED, LONG, TAGS)


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


DECIMALS: Final = 6
"""Of the numbers that say how ControlNets act."""
PIXEL_STEP: Final = 8
"""Where a request does not say: that of the families whose VAE shrinks each side so much."""


@dataclass(frozen=True, slots=True)
class Hires:
    """A second pass over the finished image, enlarged.

    scale: of both sides. strength: share of the steps to run again, 0.05–1.0.
    steps: of the whole schedule; `taken` of them are run.
    pixel_step: both sides of the result are multiples of it.
    """

    scale: float
    strength: float
    steps: int
    pixel_step: int = PIXEL_STEP

    @property
    def taken(self) -> int:
        """How many steps at the end of the schedule are run: as diffusers counts, at least 1."""
        return max(1, int(self.steps * self.strength))

    def enlarged(self, side: int) -> int:
        """`side` pixels × `scale`, rounded to a multiple of `pixel_step`."""
        return round(side * self.scale / self.pixel_step) * self.pixel_step


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in an image, in pixels."""

    left: int
    top: int
    width: int
    height: int

    def __str__(self) -> str:
        """As it is typed, like X11's geometries: `768x512+128+0`."""
        return f"{self.width}x{self.height}+{self.left}+{self.top}"

    def scaled(self, across: float, down: float) -> "Box":
        """The same in an image that is scaled by these factors; at least a pixel of it."""
        left, width = _scaled(self.left, self.width, across)
        top, height = _scaled(self.top, self.height, down)
        return Box(left, top, width, height)

    def within(self, width: int, height: int) -> bool:
        """Whether all of it lies in an image of that size."""
        across, down = self.left + self.width, self.top + self.height
        return min(self.left, self.top) >= 0 and across <= width and down <= height


def _scaled(begin: int, length: int, factor: float) -> tuple[int, int]:
    """Where it begins, and how long it is: not beyond where its end is then."""
    end = max(round((begin + length) * factor), 1)
    begin = min(round(begin * factor), end - 1)
    return begin, end - begin


@dataclass(frozen=True, slots=True)
class Area:
    """That only what is masked is painted, at the size of the request, and put into the image.

    padding: pixels of the image around the mask that are painted with it, so that they fit.
    width, height: of the image, and so of the result.
    """

    padding: int
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class InitImage:
    """An image to start from (img2img).

    sha256: 64 hex digits, of the PNG that bot.files.inputs keeps. strength: how much of it is
    changed, 0.05–1.0; at 1.0 only its size is left.
    mask: sha256 of another such PNG; only what is white there is changed (inpainting).
    box: where in the result the image lies; what is around it is added (outpainting), and without a
    mask all else is kept. None: it is all of the result.
    area: that only what is masked is painted, in an image that keeps its size; only with a mask and
    without a box. None: all of it is.
    """

    sha256: str
    strength: float
    mask: str | None = None
    box: Box | None = None
    area: Area | None = None

    @property
    def keeps(self) -> bool:
        """Whether some of it is kept as it is."""
        return self.mask is not None or self.box is not None

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; without what it has not got, as in requests of earlier versions."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        box, area = data.get("box"), data.get("area")
        parts = {"box": box and Box(**box), "area": area and Area(**area)}
        return cls(**{**data, **parts})


@dataclass(frozen=True, slots=True)
class Reference:
    """An image whose content and style guide generation (IP-Adapter, arXiv 2308.06721).

    sha256: as in InitImage. weight: of the cross-attention to it, 0–1.5.
    """

    sha256: str
    weight: float


@dataclass(frozen=True, slots=True)
class ControlUse:
    """An image whose edges, depth, pose or whatever else a ControlNet makes the result follow.

    key: of the ControlNet in the catalog; "" if only the map itself is wanted. sha256: as in
    InitImage.
    type: what the network follows, one of `catalog.CONTROL_TYPES`.
    is_map: whether the image is the map of that already, which is made from it otherwise.
    weight: of what the network adds, 0–2. start, end: between which shares of the steps it does.
    of_photo: of MADE_OF_PHOTOS, whether the map is made of a photo: a pose is found in it, or lines
    of a scribble. In earlier versions such an image was only brought to size.
    """

    key: str
    sha256: str
    type: str
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    is_map: bool = False
    of_photo: bool = False

    @property
    def needs_pose(self) -> bool:
        """Whether its map is made by a network that tells how the people in an image stand."""
        return self.type == POSE and self.of_photo

    @property
    def needs_depth(self) -> bool:
        """Whether its map is made by a network that tells the depth of an image."""
        return self.type == DEPTH and not self.is_map

    def __str__(self) -> str:
        """As a user types it: `canny:0.8`, or `union/depth:1 from 10% until 60% as map`. A map
        alone is called after its type."""
        if not self.key:
            return self.type
        text = f"{self.key}/{self.type}:{_plain(self.weight)}"
        if self.start > 0:
            text += f" from {_plain(self.start * 100)}%"
        if self.end < 1:
            text += f" until {_plain(self.end * 100)}%"
        # As an earlier version took it, which asking again is not to change.
        skeleton = self.type == POSE and not self.of_photo
        return f"{text} as map" if self.is_map or skeleton else text

    def to_dict(self) -> dict[str, Any]:
        """As JSON types; those that earlier versions had are as ever."""
        data = asdict(self)
        if not self.of_photo:
            del data["of_photo"]
        return data


DETAIL_STRENGTH: Final = 0.4
"""Where none is said: enough to draw it anew, too little to change who it is."""
DETAIL_PADDING: Final = 32
"""Pixels of the image around it that are painted with it, as in ADetailer."""


@dataclass(frozen=True, slots=True)
class DetailUse:
    """Something in the finished images that is found and painted again, each time it is there.

    word: what it is called, in English and small letters. strength: how much of it is changed,
    0.05–1.0.
    """

    word: str = field(repr=False)
    strength: float = DETAIL_STRENGTH

    def __str__(self) -> str:
        """As a user types it: `face`, or `hand:0.3`."""
        usual = self.strength == DETAIL_STRENGTH
        return self.word if usual else f"{self.word}:{_plain(self.strength)}"


def _plain(number: float) -> str:
    """With as many decimals as can be typed, so that reading it gives the same number again."""
    return f"{number:.{DECIMALS}f}".rstrip("0").rstrip(".")


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


@dataclass(frozen=True, slots=True)
class Describe:
    """An image to describe in words, instead of generating one.

    sha256: as in InitImage. style: one of DESCRIBE_STYLES: SHORT, DETAILED and LONG are sentences,
    TAGS words as prompts list them.
    """

    sha256: str
    style: str


@dataclass(frozen=True, slots=True)
class Axis:
    """What varies along one side of a comparison.

    name: one of `bot.request.compare.AXES`. values: as people type them, in order.
    subject: the key of the LoRA whose weight varies; "" for every other axis.
    """

    name: str
    values: tuple[str, ...] = field(repr=False)
    subject: str = ""


def upscaled(width: int, height: int, scale: float) -> tuple[int, int]:
    """The size of an image of these sides, enlarged by an upscaler: any whole number of pixels."""
    return round(width * scale), round(height * scale)
