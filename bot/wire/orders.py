"""Orders: what an engine is to generate."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from bot.errors import WireError
from bot.order import Order
from bot.request import (
    CONTROLS_MAX,
    COUNT_MAX,
    DESCRIBE_STYLES,
    DETAIL_WORD_MAX,
    DETAILS_MAX,
    MIXES_MAX,
    SEED_MAX,
    UPSCALE_MODES,
    UPSCALED_PIXELS_MAX,
    GenerationRequest,
)
from bot.wire.checks import in_range, is_label, is_one_of, is_sha256
from bot.wire.codec import Codec
from catalog import (
    CONTROL_TYPES,
    SCHEDULERS,
    AdapterEntry,
    ControlNetEntry,
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    EmbeddingEntry,
    ModelEntry,
    PoseEntry,
    ReferenceEntry,
    UpscalerEntry,
)
from catalog.control_types import MADE_OF_PHOTOS

PICTURE_MAX: Final = 64 * 2**20
"""Bytes of one input picture: a PNG of PIXELS_MAX that cannot be compressed has fewer."""
PIXELS_MAX: Final = 16_000_000
ADAPTERS_MAX: Final = 8
EMBEDDINGS_MAX: Final = 256
PICTURES_MAX: Final = 4
STEPS_MAX: Final = 2_000
PIXEL_STEP_MAX: Final = 64
NUMBER_MAX: Final = 100.0
"""Of guidance, weights and factors; the limits for people are narrower."""

_NAME: Final = re.compile(r"[A-Za-z0-9:._-]{0,120}")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_SIZE_AT: Final = 16


@dataclass(frozen=True, slots=True)
class SentOrder:
    """An order without its pictures, whose sha256 are `request.inputs`. Fields as of an Order."""

    name: str
    request: GenerationRequest
    model: ModelEntry | None
    adapters: tuple[AdapterEntry, ...]
    reference: ReferenceEntry | None
    embeddings: tuple[EmbeddingEntry, ...]
    upscaler: UpscalerEntry | None
    lent: dict[str, str]
    controls: tuple[ControlNetEntry, ...]
    depth: DepthEntry | None
    detector: DetectorEntry | None
    pose: PoseEntry | None
    describer: DescriberEntry | None

    @classmethod
    def of(cls, order: Order) -> Self:
        return cls(
            name=order.name,
            request=order.request,
            model=order.model,
            adapters=order.adapters,
            reference=order.reference,
            embeddings=order.embeddings,
            upscaler=order.upscaler,
            lent=dict(order.lent),
            controls=order.controls,
            depth=order.depth,
            detector=order.detector,
            pose=order.pose,
            describer=order.describer,
        )

    def with_pictures(self, pictures: Mapping[str, bytes]) -> Order:
        """The order that was sent.

        pictures: the file of each of `request.inputs` by sha256. Raises WireError for one that is
        missing, too large, no PNG, or not the one of its sha256.
        """
        for sha256 in self.request.inputs:
            _check_picture(sha256, pictures.get(sha256))
        return Order(
            request=self.request,
            model=self.model,
            adapters=self.adapters,
            reference=self.reference,
            pictures={sha256: pictures[sha256] for sha256 in self.request.inputs},
            embeddings=self.embeddings,
            upscaler=self.upscaler,
            lent=self.lent,
            name=self.name,
            controls=self.controls,
            depth=self.depth,
            detector=self.detector,
            pose=self.pose,
            describer=self.describer,
        )


_CODEC: Final = Codec(SentOrder, "order")


def encode(order: Order) -> bytes:
    """As JSON, without its pictures: `order.pictures` are sent beside it."""
    return _CODEC.encode(SentOrder.of(order))


def decode(data: bytes) -> SentOrder:
    """Raises WireError for what is no order, or one that no engine should begin: entries that are
    not those of the request, or numbers far beyond what anybody may ask for."""
    order = _CODEC.decode(data)
    if not _NAME.fullmatch(order.name):
        raise WireError("order: name: allowed are up to 120 of A-Z, a-z, 0-9, ':', '.', '_', '-'")
    _check_numbers(order.request)
    _check_entries(order)
    return order


def _check_numbers(request: GenerationRequest) -> None:
    if request.comparison is not None:
        raise WireError("order: comparison: allowed is none; each cell is an order of its own")
    for number in (request.guidance, *(use.weight for use in request.adapters)):
        in_range("order: guidance or weight", number, -NUMBER_MAX, NUMBER_MAX)
    in_range("order: adapters", len(request.adapters), 0, ADAPTERS_MAX)
    in_range("order: embeddings", len(request.all_embeddings), 0, EMBEDDINGS_MAX)
    in_range("order: count", request.count, 1, COUNT_MAX)
    in_range("order: others", len(request.others), 0, request.count - 1)
    in_range("order: seed", request.seed, 0, SEED_MAX)
    for mix in request.mixes:
        in_range("order: variation", mix.strength, 0, 1)
    for seed in (request.base_seed, *(mix.seed for mix in request.mixes)):
        in_range("order: variation", seed, 0, SEED_MAX)
    in_range("order: mixes", len(request.mixes), 0, MIXES_MAX)
    in_range("order: steps", request.steps, 0, STEPS_MAX)
    in_range("order: clip_skip", request.clip_skip or 1, 1, NUMBER_MAX)
    is_one_of("order: scheduler", request.scheduler, "", *SCHEDULERS)
    is_one_of("order: kernels", request.kernels, None, "eager", "compiled")
    for side in (request.width, request.height):
        in_range("order: width or height", side, 1, PIXELS_MAX)
    in_range("order: pixels", request.width * request.height, 1, PIXELS_MAX)
    width, height = request.final_size
    in_range("order: pixels in the end", width * height, 1, UPSCALED_PIXELS_MAX)
    _check_parts(request)


def _check_parts(request: GenerationRequest) -> None:
    in_range("order: pictures", len(request.pictures), 0, PICTURES_MAX)
    for sha256 in request.inputs:
        is_sha256("order: picture", sha256)
    if (hires := request.hires) is not None:
        in_range("order: hires.scale", hires.scale, 1, NUMBER_MAX)
        in_range("order: hires.strength", hires.strength, 0, 1)
        in_range("order: hires.steps", hires.steps, 1, STEPS_MAX)
        in_range("order: hires.pixel_step", hires.pixel_step, 1, PIXEL_STEP_MAX)
    if (upscale := request.upscale) is not None:
        in_range("order: upscale.scale", upscale.scale, 1, NUMBER_MAX)
        in_range("order: upscale.strength", upscale.strength or 0, 0, 1)
        is_one_of("order: upscale.mode", upscale.mode, *UPSCALE_MODES)
    if (describe := request.describe) is not None:
        is_one_of("order: describe.style", describe.style, *DESCRIBE_STYLES)
        if request.model or request.upscale or request.count != 1:
            raise WireError("order: describe: allowed is one image, and nothing else with it")
    if (init := request.init_image) is not None:
        in_range("order: init_image.strength", init.strength, 0, 1)
        if (box := init.box) is not None:
            in_range("order: init_image.box", min(box.width, box.height), 1, PIXELS_MAX)
            if not box.within(request.width, request.height):
                raise WireError("order: init_image.box: allowed is one within the image")
        if (area := init.area) is not None:
            in_range("order: init_image.area: padding", area.padding, 0, PIXELS_MAX)
            in_range("order: init_image.area", min(area.width, area.height), 1, PIXELS_MAX)
            if init.mask is None or init.box is not None or request.hires is not None:
                raise WireError("order: init_image.area: allowed is one with a mask, once")
    in_range("order: controls", len(request.controls), 0, CONTROLS_MAX)
    if request.only_map and (request.model or request.upscale or len(request.controls) > 1):
        raise WireError("order: controls: allowed is a map alone, or one for each ControlNet")
    for control in request.controls:
        in_range("order: controls: weight", control.weight, 0, NUMBER_MAX)
        in_range("order: controls: start", control.start, 0, control.end)
        in_range("order: controls: end", control.end, control.start, 1)
        is_one_of("order: controls: type", control.type, *CONTROL_TYPES)
        if control.of_photo and (control.is_map or control.type not in MADE_OF_PHOTOS):
            raise WireError("order: controls: of_photo: allowed where a map is made of a photo")
    in_range("order: detail", len(request.detail), 0, DETAILS_MAX)
    for detail in request.detail:
        in_range("order: detail: strength", detail.strength, 0, 1)
        is_label("order: detail: word", detail.word, DETAIL_WORD_MAX)
    if (reference := request.reference) is not None:
        in_range("order: reference.weight", reference.weight, 0, NUMBER_MAX)


def _check_entries(order: SentOrder) -> None:
    """They are those that the request names, each in its place."""
    request = order.request
    named = (
        ("model", [request.model] if request.model else [], [order.model] if order.model else []),
        ("adapters", [use.key for use in request.adapters], order.adapters),
        ("embeddings", list(request.embedding_keys), order.embeddings),
        ("controls", list(request.control_keys), order.controls),
        (
            "upscaler",
            [request.upscale.upscaler] if request.upscale else [],
            [order.upscaler] if order.upscaler else [],
        ),
    )
    for name, keys, entries in named:
        if keys != [entry.key for entry in entries]:
            raise WireError(f"order: {name}: allowed are those that the request names")
    if (order.depth is not None) != request.needs_depth:
        raise WireError("order: depth: allowed where a ControlNet needs it, and only then")
    if (order.pose is not None) != request.needs_pose:
        raise WireError("order: pose: allowed where a ControlNet needs it, and only then")
    # Poses are also told where nothing finds the people.
    allowed = {bool(request.detail), bool(request.detail) or request.needs_pose}
    if (order.detector is not None) not in allowed:
        raise WireError("order: detector: allowed where something is to be found, and only then")
    if (order.describer is not None) != (request.describe is not None):
        raise WireError(
            "order: describer: allowed where an image is to be described, and only then"
        )
    if (order.reference is None) != (request.reference is None):
        raise WireError("order: reference: allowed with a reference image, and only then")
    if not order.lent.keys() <= (order.model.family.lent.keys() if order.model else set()):
        raise WireError("order: lent: allowed are networks that the model's family has lent")


def _check_picture(sha256: str, data: bytes | None) -> None:
    if data is None:
        raise WireError(f"picture {sha256}: it was not sent")
    in_range(f"picture {sha256}: bytes", len(data), 1, PICTURE_MAX)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise WireError(f"picture {sha256}: its bytes have another sha256")
    if not data.startswith(_PNG):
        raise WireError(f"picture {sha256}: allowed is a PNG")
    width, height = (int.from_bytes(data[at : at + 4]) for at in (_SIZE_AT, _SIZE_AT + 4))
    in_range(f"picture {sha256}: pixels", width * height, 1, PIXELS_MAX)
