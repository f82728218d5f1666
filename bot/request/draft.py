"""A request as typed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, Self, cast

from bot.errors import InvalidRequest
from bot.request.pictures import Picture
from bot.request.syntax import AdapterAsk

EDITED: Final = ("edit", "edit2", "edit3", "edit4")
"""What the images to edit are called, one by one, where images are given by name."""
CONTROL_IMAGES: Final = ("control_image", "control_image2")
"""The same for the images that ControlNets follow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A request as typed; None for what was not given.

    lora: `anime-style:0.6, detail:0.8:0.5`, or tags; adapters: further ones, parsed already.
    size: `832x1216` or `16:9`.
    hires: scale of a second pass, with the share of the schedule that it repeats (`hires_strength`)
    and how many steps that is (`hires_steps`). clip_skip: counted as in AUTOMATIC1111.
    image: to start from, with `strength`; reference: to be guided by, with `reference_weight`.
    control: the ControlNets, `canny:0.8 until 60%`, see `bot.request.controlling`; control_images:
    what they follow, the image to start from if there is none. other_types: such as `canny/depth`,
    what else than their own types they may be made to follow: what earlier results did, and modules
    of AUTOMATIC1111's. detail: what of the finished images is painted again, `face, hand:0.3`, see
    `bot.request.detailing`.
    mask: of the image, white where it is changed. extend: `zoom 1.5` or `left, right 25%`, see
    `bot.request.extending`. inpaint_area: `whole` or `masked`, with `inpaint_padding`, see
    `bot.request.masked_area`. pictures: to edit. variation: `12:0.2`, see `bot.request.variation`.
    tile: whether opposite edges are to meet.
    complete: whether the prompt is all of it, as in generation data: no LoRA's trigger words are
    added.
    """

    prompt: str = field(repr=False)
    model: str | None = None
    lora: str | None = None
    negative: str | None = field(default=None, repr=False)
    steps: int | None = None
    guidance: float | None = None
    seed: int | None = None
    size: str | None = None
    count: int | None = None
    scheduler: str | None = None
    preset: str | None = None
    hires: float | None = None
    hires_strength: float | None = None
    hires_steps: int | None = None
    clip_skip: int | None = None
    image: Picture | None = None
    strength: float | None = None
    mask: Picture | None = None
    extend: str | None = None
    inpaint_area: str | None = None
    inpaint_padding: int | None = None
    reference: Picture | None = None
    reference_weight: float | None = None
    control: str | None = None
    control_images: tuple[Picture, ...] = ()
    detail: str | None = None
    other_types: tuple[str, ...] = ()
    adapters: tuple[AdapterAsk, ...] = ()
    pictures: tuple[Picture, ...] = ()
    variation: str | None = None
    tile: bool | None = None
    complete: bool = False

    @property
    def shaping(self) -> Picture | None:
        """The image whose aspect ratio the result has where no size is given."""
        return self.image or next(iter((*self.pictures, *self.control_images)), None)

    @property
    def names(self) -> tuple[str | None, ...]:
        """The texts in which models, LoRAs and embeddings are named."""
        return (
            *(self.prompt, self.negative, self.lora, self.model),
            *(ask.name for ask in self.adapters),
        )

    def with_pictures(self, given: Mapping[str, Picture]) -> Self:
        """The same with images by name: "image", "mask", "reference", and those of EDITED and of
        CONTROL_IMAGES. Raises InvalidRequest for the second of these without what the first
        ControlNet follows."""
        first, second = (given.get(name) for name in CONTROL_IMAGES)
        if second is not None and first is None:
            first = None if self.extend else given.get("image", self.image)
            if first is None:
                _, name = CONTROL_IMAGES
                raise InvalidRequest(name, "control.second", needed=CONTROL_IMAGES[0])
        followed = tuple(each for each in (first, second) if each is not None)
        return replace(
            self,
            image=given.get("image", self.image),
            mask=given.get("mask", self.mask),
            reference=given.get("reference", self.reference),
            pictures=tuple(given[name] for name in EDITED if name in given) or self.pictures,
            control_images=followed or self.control_images,
        )

    @classmethod
    def from_options(cls, options: Mapping[str, object], **resolved: object) -> Self:
        """Make a draft of a command's options, which are named like the fields; others are ignored.

        resolved: options converted already, which replace those in `options`.
        """
        values = {**options, **resolved}
        known = {own.name: values[own.name] for own in fields(cls) if own.name in values}
        return cls(**cast("dict[str, Any]", known))
