"""Paintings: the images of an engine, and the recipe of all of them."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import PIL.Image

from bot.errors import Param, WireError
from bot.painting import PaintedImage, Painting
from bot.progress import Notice
from bot.recipe import Recipe, Weights
from bot.request import REGIONS_MAX, SEED_MAX, WORDS_MAX, GenerationRequest
from bot.texts.language import Texts
from bot.wire.checks import in_range, is_label, is_sha256
from bot.wire.codec import Codec
from bot.wire.sentences import check_sentence, line

HEADER_MAX: Final = 1_024
CHANNELS: Final = 3
"""Bytes per pixel."""
WARNINGS_MAX: Final = 100
REFERENCE_MAX: Final = 2
"""Networks for a reference image."""
FACTS_MAX: Final = 40
"""Entries of a recipe's environment; an engine has about twenty."""
FACT_MAX: Final = 100
"""Characters of one."""
SCHEDULER_MAX: Final = 2**14
"""Characters of a scheduler's configuration as JSON."""

_FACT: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
_HEX: Final = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True, slots=True)
class Header:
    """One image without its pixels; see `PaintedImage`."""

    seed: int
    width: int
    height: int
    pixels_sha256: str

    @classmethod
    def of(cls, painted: PaintedImage) -> "Header":
        width, height = painted.image.size
        return cls(painted.seed, width, height, painted.pixels_sha256)


@dataclass(frozen=True, slots=True)
class SentPainting:
    """A painting without the pixels of its images."""

    images: tuple[Header, ...]
    recipe: Recipe
    warnings: tuple[Notice, ...]
    words: str | None

    def with_images(self, images: Mapping[str, PaintedImage]) -> Painting:
        """The painting that was sent.

        images: by `pixels_sha256`, as `decode_image` returned them. Raises WireError if one was not
        sent.
        """
        painted = []
        for header in self.images:
            image = images.get(header.pixels_sha256)
            if image is None:
                raise WireError(f"painting: image {header.pixels_sha256} was not sent")
            # Two seeds may have the same pixels.
            painted.append(PaintedImage(header.seed, image.image, header.pixels_sha256))
        return Painting(tuple(painted), self.recipe, self.warnings, self.words)


_HEADER: Final = Codec(Header, "image", HEADER_MAX)
_PAINTING: Final = Codec(SentPainting, "painting")


def encode_image(painted: PaintedImage) -> tuple[bytes, bytes]:
    """Its header as JSON, and its pixels: rows from the top, three bytes each."""
    return _HEADER.encode(Header.of(painted)), painted.image.tobytes()


def decode_header(data: bytes, request: GenerationRequest) -> Header:
    """Raises WireError unless it is the header of an image of `request`."""
    header = _HEADER.decode(data)
    _check_header(header, request)
    return header


def decode_image(header: Header, pixels: bytes) -> PaintedImage:
    """Raises WireError unless `pixels` are those that the header names."""
    expected = header.width * header.height * CHANNELS
    if len(pixels) != expected:
        raise WireError(f"image: {len(pixels)} bytes of pixels; allowed are {expected}")
    if hashlib.sha256(pixels).hexdigest() != header.pixels_sha256:
        raise WireError(f"image {header.pixels_sha256}: its pixels have another sha256")
    image = PIL.Image.frombytes("RGB", (header.width, header.height), pixels)
    return PaintedImage(header.seed, image, header.pixels_sha256)


def encode(painting: Painting) -> bytes:
    """As JSON, without pixels: they are sent image by image."""
    headers = tuple(map(Header.of, painting.images))
    warnings = tuple(replace(each, params=_lines(each.params)) for each in painting.warnings)
    return _PAINTING.encode(SentPainting(headers, painting.recipe, warnings, painting.words))


def decode(data: bytes, request: GenerationRequest, texts: Texts) -> SentPainting:
    """Raises WireError for anything but the painting of `request`."""
    painting = _PAINTING.decode(data)
    if painting.recipe.request != request:
        raise WireError("painting: recipe.request: allowed is the one that was asked for")
    _check_weights(painting.recipe)
    _check_facts(painting.recipe)
    _check_words(painting.words, request)
    count = 0 if request.describe else request.count
    if len(painting.images) != count:
        raise WireError(f"painting: {len(painting.images)} images; allowed are {count}")
    for number, header in enumerate(painting.images):
        _check_header(header, request)
        if header.seed != (seed := request.image_seed(number)):
            raise WireError(f"painting: seed {header.seed} of image {number}; allowed is {seed}")
    if len(painting.warnings) > WARNINGS_MAX:
        raise WireError(f"painting: {len(painting.warnings)} warnings; allowed are {WARNINGS_MAX}")
    for notice in painting.warnings:
        check_sentence("painting: warning", notice.code, notice.params, texts)
    return painting


def _lines(params: Mapping[str, Param]) -> dict[str, Param]:
    return {name: line(v) if isinstance(v, str) else v for name, v in params.items()}


def _check_words(words: str | None, request: GenerationRequest) -> None:
    if (words is not None) != (request.describe is not None):
        raise WireError("painting: words: allowed where an image is described, and only then")
    if words is None:
        return
    in_range("painting: words: characters", len(words), 1, WORDS_MAX)
    if not words.isprintable():
        raise WireError("painting: words: allowed is one line of characters that can be shown")


def _check_header(header: Header, request: GenerationRequest) -> None:
    if (header.width, header.height) != request.final_size:
        width, height = request.final_size
        raise WireError(f"image: {header.width}×{header.height}; allowed is {width}×{height}")
    number = (header.seed - request.seed) % (SEED_MAX + 1)
    if not 0 <= header.seed <= SEED_MAX or number >= request.count:
        raise WireError(f"image: seed {header.seed}; allowed are those of the request's images")
    is_sha256("image: pixels_sha256", header.pixels_sha256)


def _check_facts(recipe: Recipe) -> None:
    in_range("painting: recipe: environment: entries", len(recipe.environment), 0, FACTS_MAX)
    for name, value in recipe.environment.items():
        if not _FACT.fullmatch(name):
            raise WireError("painting: recipe: environment: allowed are names of a-z, 0-9, '_'")
        is_label(f"painting: recipe: environment: {name}", value, FACT_MAX)
    size = len(json.dumps(recipe.scheduler))
    in_range("painting: recipe: scheduler: characters", size, 0, SCHEDULER_MAX)


def _check_weights(recipe: Recipe) -> None:
    """They are those that the request names; what a VAE, a text encoder and a reference image's
    networks are called there is all that it does not say."""
    request = recipe.request
    upscaler = request.upscale.upscaler if request.upscale else None
    named = (
        ("checkpoint", (recipe.checkpoint,), (request.model or None,)),
        ("upscaler", (recipe.upscaler,), (upscaler,)),
        ("adapters", recipe.adapters, tuple(use.key for use in request.adapters)),
        ("embeddings", recipe.embeddings, tuple(request.embedding_keys)),
        ("controls", recipe.controls, request.control_keys),
    )
    for what, used, keys in named:
        if tuple(each and each.name for each in used) != keys:
            raise WireError(f"painting: recipe: {what}: allowed are those that the request names")
    if bool(recipe.reference) != (request.reference is not None):
        raise WireError(
            "painting: recipe: reference: allowed with a reference image, and only then"
        )
    in_range("painting: recipe: reference: networks", len(recipe.reference), 0, REFERENCE_MAX)
    if (recipe.depth is not None) != request.needs_depth:
        raise WireError("painting: recipe: depth: allowed where a ControlNet needs it, only then")
    if (recipe.pose is not None) != request.needs_pose:
        raise WireError("painting: recipe: pose: allowed where a ControlNet needs it, only then")
    allowed = {bool(request.detail), bool(request.detail) or request.needs_pose}
    if (recipe.detector is not None) not in allowed:
        raise WireError("painting: recipe: detector: allowed where something was to be found")
    if (recipe.describer is not None) != (request.describe is not None):
        raise WireError("painting: recipe: describer: allowed where an image is described")
    _check_found(recipe)
    single = (
        *(recipe.checkpoint, recipe.vae, recipe.text_encoder),
        *(recipe.upscaler, recipe.depth, recipe.pose, recipe.detector, recipe.describer),
    )
    many: tuple[Weights, ...] = (
        *recipe.adapters,
        *recipe.reference,
        *recipe.embeddings,
        *recipe.parts,
        *recipe.controls,
    )
    for weights in (*filter(None, single), *many):
        is_label("painting: recipe: name of weights", weights.name)
        is_sha256("painting: recipe: sha256 of weights", weights.sha256)
        if not _HEX.fullmatch(weights.short):
            raise WireError("painting: recipe: short hash of weights: allowed are digits 0-9, a-f")


def _check_found(recipe: Recipe) -> None:
    """It is what the request has looked for, in its images."""
    request = recipe.request
    in_range("painting: recipe: found", len(recipe.found), 0, request.count * REGIONS_MAX)
    words, seeds = (
        {use.word for use in request.detail},
        {request.image_seed(n) for n in range(request.count)},
    )
    for found in recipe.found:
        if found.word not in words or found.seed not in seeds:
            raise WireError("painting: recipe: found: allowed is what the request looks for")
        if not found.box.within(*request.final_size) or min(found.box.width, found.box.height) < 1:
            raise WireError("painting: recipe: found: allowed are boxes within the image")
