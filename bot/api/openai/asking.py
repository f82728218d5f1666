"""From a body to a draft, and to how its images are to be returned. Pure functions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bot.api.openai.bodies import COMPRESSION_MAX, PARTIAL_MAX, Edit, Format, ImageRef, Options
from bot.api.original.bodies import SHA256_DIGITS, picture
from bot.errors import InvalidRequest
from bot.progress import Notice
from bot.request import CONTROL_IMAGES, EDITED, Draft, Picture, default_model, find_model
from bot.request.pictures import size_like, within
from bot.request.presets import presets_of
from bot.request.syntax import AdapterAsk
from catalog import Catalog, ModelEntry

OPENAI_MODEL: Final = re.compile(r"(dall-e|gpt-image|chatgpt-image)-[a-z0-9.-]+")
"""Sent by clients that cannot be set to another."""
DALL_E: Final = "dall-e"
"""Models whose images came as links if nothing else was asked for."""
OPENAI_SIZES: Final = frozenset(
    {
        "256x256",
        "512x512",
        "1024x1024",
        "1536x1024",
        "1024x1536",
        "1792x1024",
        "1024x1792",
    }
)
"""Those that clients offer, whatever the model can do."""
MORE_STEPS: Final = {"high": 1.5, "hd": 1.5, "xhigh": 2.0, "max": 2.0}
"""How many times the default steps. Not a second pass: that would change the size."""
HIGH_FIDELITY: Final = 0.4
"""The strength for it: what is in the image stays where it is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How images are to be returned.

    compression: quality of a JPEG or WebP. quality: as the answer names it.
    """

    format: Format
    compression: int
    links: bool
    quality: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A body that was understood. notes: what is done otherwise than it was asked for."""

    draft: Draft
    pictures: Mapping[str, bytes | str]
    wanted: Wanted
    stream: bool
    partial_images: int
    notes: tuple[Notice, ...]


def image_characters(body: Options) -> int:
    """How long its images in base64 are together."""
    texts = [body.reference, body.control_image, body.control_image2]
    if isinstance(body, Edit):
        texts += [image for image in body.image if isinstance(image, str)]
        texts += [ref.image_url for ref in body.images]
        texts += [body.mask] if isinstance(body.mask, str) else []
        texts += [body.mask.image_url] if isinstance(body.mask, ImageRef) else []
    return sum(len(text) for text in texts if text is not None)


def understood(body: Options, catalog: Catalog, *, nsfw: bool, previews: bool) -> Asked:
    """Takes long if images are large. Raises InvalidRequest or Refused.

    previews: whether unfinished images can be shown.
    """
    notes: list[Notice] = []
    model = _model(body, catalog, nsfw, notes)
    wanted = _wanted(body)
    partial_images = within("partial_images", body.partial_images, 0, 0, PARTIAL_MAX)
    if partial_images and not body.stream:
        raise InvalidRequest("partial_images", "api.openai.no_stream")
    if partial_images and not previews:
        notes.append(Notice("api.openai.no_previews", {}))
    steps, preset = body.steps, body.preset
    if steps is None and preset is None:
        steps, preset = _effort(body, model, catalog, nsfw, notes)
    draft = Draft(
        prompt=body.prompt,
        negative=body.negative_prompt,
        model=model.key,
        adapters=tuple(
            AdapterAsk(lora.name, lora.weight, lora.text_weight) for lora in body.loras or ()
        ),
        steps=steps,
        guidance=body.guidance_scale,
        seed=body.seed,
        size=_size(body, model, notes),
        count=body.n,
        scheduler=body.scheduler,
        preset=preset,
        hires=body.hires,
        strength=_strength(body, model) if isinstance(body, Edit) else None,
        reference_weight=body.reference_weight,
        extend=body.extend if isinstance(body, Edit) else None,
        inpaint_area=body.inpaint_area if isinstance(body, Edit) else None,
        inpaint_padding=body.inpaint_padding if isinstance(body, Edit) else None,
        control=body.control,
        detail=body.detail,
        tile=body.tile,
    )
    return Asked(
        draft=draft,
        pictures=_pictures(body, model),
        wanted=wanted,
        stream=bool(body.stream),
        partial_images=partial_images,
        notes=tuple(notes),
    )


def stands_for_default(name: str, catalog: Catalog) -> bool:
    """Whether `name` is one of OpenAI's models, and not one of the catalog's."""
    known = catalog.models_called(name)
    return not known and OPENAI_MODEL.fullmatch(name) is not None


def _model(body: Options, catalog: Catalog, nsfw: bool, notes: list[Notice]) -> ModelEntry:
    name = (body.model or "").strip()
    default = default_model(catalog, nsfw=nsfw)
    if name and stands_for_default(name, catalog):
        notes.append(Notice("api.openai.model", {"value": name, "model": default}))
        name = ""
    return find_model(catalog, name or default, nsfw=nsfw)


def _wanted(body: Options) -> Wanted:
    if body.background == "transparent":
        raise InvalidRequest("background", "api.openai.transparent", value=body.background)
    format_ = body.output_format or "png"
    compression = within(
        "output_compression", body.output_compression, COMPRESSION_MAX, 0, COMPRESSION_MAX
    )
    if format_ == "png" and compression != COMPRESSION_MAX:
        raise InvalidRequest("output_compression", "api.openai.compression", value=compression)
    if body.stream and body.response_format == "url":
        raise InvalidRequest("response_format", "api.openai.links_in_stream")
    dall_e = (body.model or "").startswith(DALL_E) and not body.stream
    links = (body.response_format or ("url" if dall_e else "b64_json")) == "url"
    named = {"standard": "medium", "auto": "medium", "hd": "high"}
    quality = body.quality or "auto"
    return Wanted(format_, compression, links, named.get(quality, quality))


def _effort(
    body: Options, model: ModelEntry, catalog: Catalog, nsfw: bool, notes: list[Notice]
) -> tuple[int | None, str | None]:
    """Steps and preset for the quality; None leaves them to the model."""
    quality = body.quality or "auto"
    if (times := MORE_STEPS.get(quality)) is not None:
        return min(round(model.steps.default * times), model.steps.max), None
    if quality != "low":
        return None, None
    if quick := presets_of(model, catalog, nsfw=nsfw):
        return None, quick[0]
    notes.append(Notice("api.openai.no_preset", {"value": quality, "model": model.key}))
    return None, None


def _size(body: Options, model: ModelEntry, notes: list[Notice]) -> str | None:
    size = (body.size or "").strip().lower()
    if size in ("", "auto"):
        return None
    if size not in OPENAI_SIZES:
        return size
    width, height = map(int, size.split("x"))
    sides = model.min_side <= min(width, height) <= max(width, height) <= model.max_side
    if sides and width * height <= model.max_pixels:
        return size
    width, height = size_like(Picture("", width, height), model)
    own = f"{width}x{height}"
    notes.append(Notice("api.openai.size", {"value": size, "own": own}))
    return own


def _strength(body: Edit, model: ModelEntry) -> float | None:
    """None for a model that edits images, unless it is to paint over one: it looks at them as they
    are, whatever fidelity is asked for. None, too, where the fidelity is that of the part which is
    not changed at all."""
    faithful = body.input_fidelity == "high" and not model.pictures_max
    if body.strength is None and faithful and not _keeps(body):
        return HIGH_FIDELITY
    return body.strength


def _pictures(body: Options, model: ModelEntry) -> dict[str, bytes | str]:
    """By the names of a draft: a model that edits images gets them as what to edit."""
    texts = {name: getattr(body, name) for name in ("reference", *CONTROL_IMAGES)}
    pictures = {name: picture(name, text) for name, text in texts.items() if text is not None}
    if not isinstance(body, Edit):
        return pictures
    given = [*body.image, *(_referred("images", ref) for ref in body.images)]
    if not given:
        raise InvalidRequest("image", "api.field.missing")
    names = EDITED if _edits(body, model) else ("image",)
    if len(given) > len(names):
        raise InvalidRequest("image", "api.openai.images", value=len(given), max=len(names))
    for name, image in zip(names, given, strict=False):
        pictures[name] = picture("image", image) if isinstance(image, str) else image
    if (mask := body.mask) is not None:
        if isinstance(mask, ImageRef):
            mask = _referred("mask", mask)
        pictures["mask"] = picture("mask", mask) if isinstance(mask, str) else mask
    return pictures


def _edits(body: Edit, model: ModelEntry) -> bool:
    """Whether the images are to be changed as the prompt says, not painted over."""
    over = _strength(body, model) is not None or _keeps(body)
    return bool(model.pictures_max) and not over


def _keeps(body: Edit) -> bool:
    """Whether a part of the image is to be kept as it is."""
    return body.mask is not None or bool((body.extend or "").strip())


def _referred(field: str, ref: ImageRef) -> str:
    """An image that JSON refers to, as text for `picture`."""
    url, file_id = ref.image_url, ref.file_id
    if url is not None and file_id is None:
        if not url.startswith("data:"):
            # Fetching what a caller names would let them reach the network from here.
            raise InvalidRequest(field, "api.openai.address", value=url[:80])
        return url
    if file_id is not None and url is None:
        if len(file_id) != SHA256_DIGITS:
            raise InvalidRequest(field, "api.picture.unknown", value=file_id[:80])
        return file_id
    raise InvalidRequest(field, "api.openai.reference")
