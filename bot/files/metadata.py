"""PNG metadata: writes and reads how an image was generated.

There are two text chunks: `parameters`, the line-based format that AUTOMATIC1111, Forge and Civitai
read, and `imagen`, our recipe as JSON, from which the same bytes can be generated again.
"""

import io
import json
import math
import struct
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import PureWindowsPath
from typing import Final

from PIL.Image import Image
from PIL.PngImagePlugin import MAX_TEXT_CHUNK, PngInfo, PngStream, putchunk
from pydantic import TypeAdapter, ValidationError

from bot import __version__
from bot.recipe import Recipe, Weights
from bot.request import (
    AYS,
    CRISP,
    SEED_MAX,
    AdapterUse,
    ControlUse,
    GenerationRequest,
    Template,
)
from bot.request.dialects.controlnet import BEFORE_PHOTOS, NONE, USUAL_MODULES
from bot.request.dialects.infotext import (
    AREA,
    CONTROL_UNIT,
    DETAIL,
    EXTENDED,
    MASK_MODE,
    MASKED,
    NEGATIVE,
    ONLY_MASKED,
    PADDING,
    PROMPT_LINES,
    TILING,
    VARIATIONS,
    opens_negative,
)
from bot.request.variation import number_as_typed

PARAMETERS: Final = "parameters"
IMAGEN: Final = "imagen"
TEXT_MAX: Final = MAX_TEXT_CHUNK
"""The largest text chunk to read, in bytes after decompression: Pillow's own limit, 1 MiB."""

_PNG = b"\x89PNG\r\n\x1a\n"
_TEXT_CHUNKS = {b"tEXt", b"zTXt", b"iTXt"}
_CHECKSUM = 4
_HEADER_END = len(_PNG) + 8 + 13 + _CHECKSUM
"""Where IHDR ends, which is the first chunk of every PNG."""
_LEVEL = 6
"""zlib's. For 1024² pixels of smooth colours with a camera's noise, level 1 takes 89 ms of a CPU
core and 1,910 KiB, level 4 178 ms and 1,663 KiB, level 6 196 ms and 1,663 KiB; pure noise takes 101
to 108 ms at any level. Level 1 would make every file on disk and every upload larger by 15%."""
_SCHEDULES = {
    " Karras": "Karras",
    # The web UI's name for the spacing that diffusers calls "trailing".
    " trailing": "SGM Uniform",
}
_ALIGNED = "Align Your Steps"


@dataclass(frozen=True, slots=True)
class PngMetadata:
    """How a PNG was generated, as far as it says so; None for what is missing.

    recipe has the right types, but anyone can write a PNG: check its values like any request's.
    """

    parameters: str | None = field(repr=False)
    recipe: Recipe | None = field(repr=False)
    seed: int | None


def infotext(recipe: Recipe, seed: int) -> str:
    """The `parameters` text of the image with this seed, as AUTOMATIC1111's web UI writes it.

    `parse_infotext` returns prompt and negative prompt exactly, whatever they contain.
    """
    request = recipe.request.of_seed(seed)
    template = request.template or Template(None, None, 0)
    tags = "".join(f" <lora:{use.key}:{_weights(use)}>" for use in request.adapters)
    prompt = f"{request.whole_prompt}{tags}"
    sampler, schedule = _split_scheduler(request.scheduler)
    hashes = ", ".join(f"{weights.name}: {weights.short}" for weights in recipe.adapters)
    inversions = ", ".join(f"{weights.name}: {weights.short}" for weights in recipe.embeddings)
    base = seed if request.variation is None else request.base_seed
    prompt_lines = prompt.split("\n")
    unclear = any(opens_negative(line) for line in prompt_lines)
    settings = {
        "Steps": str(request.steps or ""),
        "Sampler": sampler,
        "Schedule type": _ALIGNED if request.spacing == AYS else schedule,
        "CFG scale": _number(request.guidance) if request.model else "",
        "Seed": str(base) if request.model or request.prompt else "",
        "Size": f"{request.width}x{request.height}",
        "Model hash": recipe.checkpoint.short if recipe.checkpoint else "",
        "Model": recipe.checkpoint.name if recipe.checkpoint else "",
        "VAE hash": recipe.vae.short if recipe.vae else "",
        "VAE": _file(recipe.vae),
        "Text encoder hash": recipe.text_encoder.short if recipe.text_encoder else "",
        "Text encoder": _file(recipe.text_encoder),
        **_passes(request),
        **kept_part(request),
        **_control_units(recipe),
        DETAIL: ", ".join(map(str, request.detail)),
        **_upscale(request),
        **_variation(request),
        "Clip skip": str(request.clip_skip or ""),
        TILING: "True" if request.tile else "",
        "Lora hashes": hashes,
        "TI hashes": inversions,
        # Named as by sd-dynamic-prompts, but where the web UI reads them like any setting.
        "Template": template.prompt or "",
        "Negative Template": template.negative or "",
        # Only we write this and the following settings, except the version.
        "Preset": request.preset or "",
        "Reference weight": _number(request.reference.weight) if request.reference else "",
        # Tells where the prompt ends if one of its lines looks like a negative prompt.
        PROMPT_LINES: str(len(prompt_lines)) if unclear else "",
        "Version": f"imagen {__version__}",
    }
    lines = [prompt]
    if request.negative:
        lines.append(f"{NEGATIVE} {request.negative}")
    lines.append(", ".join(f"{name}: {_quote(v)}" for name, v in settings.items() if v))
    return "\n".join(lines)


def _variation(request: GenerationRequest) -> dict[str, str]:
    """The web UI knows one seed to mix in; several of them are a setting of our own."""
    if len(request.mixes) > 1:
        return {VARIATIONS: request.mixed_in}
    return {
        name: text
        for mix in request.mixes
        for name, text in (
            ("Variation seed", str(mix.seed)),
            ("Variation seed strength", number_as_typed(mix.strength)),
        )
    }


def _file(weights: Weights | None) -> str:
    """As the web UI names it; a full path would reveal the owner's folders."""
    return PureWindowsPath(weights.name).name if weights else ""


def compress_png(image: Image) -> bytes:
    """The image as a PNG without text: the slow part of writing one, which needs no recipe."""
    plain = image.convert("RGB")
    plain.info = {}  # otherwise profile, dpi etc. would be written too
    file = io.BytesIO()
    plain.save(file, "PNG", compress_level=_LEVEL)
    return file.getvalue()


def describe_png(png: bytes, recipe: Recipe, seed: int) -> bytes:
    """`png`, made by `compress_png`, with its text chunks `parameters` and `imagen` put behind its
    header.

    seed: of this image within the job. The same input gives the same bytes.
    """
    # Reproducing it needs the kernels that were used, whether requested or not.
    kernels = recipe.environment.get("kernels")
    recipe = replace(recipe, request=recipe.request.with_kernels(kernels))
    return with_texts(
        png, infotext(recipe, seed), {IMAGEN: {"seed": seed, "recipe": recipe.to_dict()}}
    )


def with_texts(png: bytes, parameters: str, data: Mapping[str, object]) -> bytes:
    """`png`, made by `compress_png`, with an infotext and with `data` as JSON, by keyword."""
    chunks = PngInfo()
    # JSON can contain lone surrogates, which UTF-8 cannot encode; below, they are escaped.
    chunks.add_text(PARAMETERS, parameters.encode("utf-8", "replace").decode("utf-8"))
    for keyword, value in data.items():
        chunks.add_text(keyword, json.dumps(value, sort_keys=True, separators=(",", ":")))
    file = io.BytesIO()
    file.write(png[:_HEADER_END])
    for kind, content, *_ in chunks.chunks:
        putchunk(file, kind, content)
    file.write(png[_HEADER_END:])
    return file.getvalue()


def read_png(data: bytes) -> PngMetadata:
    """How an untrusted PNG says it was generated, without decoding its pixels.

    Raises only ValueError: if it is not a PNG, is damaged, or one of our two chunks is larger than
    TEXT_MAX or invalid.
    """
    texts = png_texts(data, (PARAMETERS, IMAGEN))
    recipe, seed = _read_recipe(texts[IMAGEN]) if IMAGEN in texts else (None, None)
    return PngMetadata(texts.get(PARAMETERS), recipe, seed)


def _number(value: float) -> str:
    return repr(float(value)).removesuffix(".0")


def _weights(use: AdapterUse) -> str:
    """`0.8`, or named weights if there are two: the web UI has them in the opposite order."""
    if use.text_weight in (None, use.weight):
        return _number(use.weight)
    return f"te={_number(use.text_weight or 0.0)}:unet={_number(use.weight)}"


def _passes(request: GenerationRequest) -> dict[str, str]:
    """The web UI's settings for img2img and for the second pass; a request never has both."""
    passes = {}
    if denoised := request.init_image or request.hires:
        passes["Denoising strength"] = _number(denoised.strength)
    if request.hires:
        passes["Hires upscale"] = _number(request.hires.scale)
        # The web UI gives the steps actually taken, whatever the strength.
        passes["Hires steps"] = str(request.hires.taken)
    return passes


def kept_part(request: GenerationRequest) -> dict[str, str]:
    """What says which part of the image to start from was kept: the web UI's settings for
    inpainting, and our own for where the image lies, if it was extended."""
    init = request.init_image
    area = init.area if init else None
    return {
        MASK_MODE: MASKED if init and init.mask else "",
        AREA: ONLY_MASKED if area else "",
        PADDING: str(area.padding) if area else "",
        EXTENDED: str(init.box) if init and init.box else "",
    }


def _control_units(recipe: Recipe) -> dict[str, str]:
    """The ControlNets as sd-webui-controlnet writes and reads its units: what makes the map of the
    image is a module there. Maps are made at the size of the result, which it calls pixel perfect.
    """
    units = {}
    for number, (use, weights) in enumerate(
        zip(recipe.request.controls, recipe.controls, strict=False)
    ):
        fields = {
            "Module": _module(use),
            "Model": f"{weights.name} [{weights.short}]",
            "Weight": _number(use.weight),
            "Resize Mode": "Crop and Resize",
            "Guidance Start": _number(use.start),
            "Guidance End": _number(use.end),
            "Pixel Perfect": "True",
            "Control Mode": "Balanced",
        }
        text = ", ".join(f"{name}: {value}" for name, value in fields.items())
        units[CONTROL_UNIT.format(number)] = text
    return units


def _module(use: ControlUse) -> str:
    """What makes the map of its image there."""
    if use.is_map:
        return NONE
    if use.type in BEFORE_PHOTOS and not use.of_photo:
        return BEFORE_PHOTOS[use.type]
    return USUAL_MODULES.get(use.type, NONE)


def _upscale(request: GenerationRequest) -> dict[str, str]:
    """The settings of the web UI's tab "Extras", and our mode, if it is not the same as there."""
    if (upscale := request.upscale) is None:
        return {}
    strength = "" if upscale.strength is None else _number(upscale.strength)
    return {
        "Denoising strength": strength,
        "Postprocess upscale by": _number(upscale.scale),
        "Postprocess upscaler": upscale.upscaler,
        "Postprocess mode": "" if upscale.mode == CRISP else upscale.mode,
    }


def _split_scheduler(name: str) -> tuple[str, str]:
    for suffix, schedule in _SCHEDULES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix), schedule
    return name, ""


def _quote(text: str) -> str:
    plain = not any(c in text for c in ',\n:"') and text == text.strip()
    return text if plain else json.dumps(text, ensure_ascii=False)


def png_texts(data: bytes, keywords: Collection[str]) -> dict[str, str]:
    """The first text of each of these keywords in an untrusted PNG; raises only ValueError.

    Pillow reads the chunks, but not through `Image.text`, which decodes the pixels first, rejects a
    file for other programs' large texts, and keeps the last text of a keyword.
    """
    file = io.BytesIO(data)
    if file.read(len(_PNG)) != _PNG:
        raise ValueError("not a PNG file")
    texts: dict[str, str] = {}
    stream = PngStream(file)
    try:
        while (chunk := stream.read())[0] != b"IEND":
            kind, start, length = chunk
            name = data[start : start + 80].partition(b"\0")[0].decode("latin-1")
            if kind in _TEXT_CHUNKS and name in keywords and name not in texts:
                texts[name] = _text(stream, name, chunk)
            else:
                file.seek(start + length + _CHECKSUM)
        stream.crc(b"IEND", b"")
    except SyntaxError as error:
        raise ValueError(f"damaged PNG file: {error}") from None
    except (OSError, struct.error):
        raise ValueError("damaged PNG file: it ends too early") from None
    return texts


def _text(stream: PngStream, name: str, chunk: tuple[bytes, int, int]) -> str:
    kind, _, length = chunk
    if length > TEXT_MAX + 256:
        raise ValueError(f"the {name} chunk is larger than {TEXT_MAX} bytes")
    try:
        body = stream.call(*chunk)
    except ValueError:
        # Pillow raises ValueError here only if the decompressed text is too large.
        raise ValueError(f"the {name} chunk is larger than {TEXT_MAX} bytes") from None
    stream.crc(kind, body)
    text = str(stream.im_text.get(name, ""))
    # Pillow omits a text that it cannot decompress or decode; for a zTXt chunk, it is empty.
    if name not in stream.im_text or (kind == b"zTXt" and not text):
        raise ValueError(f"damaged PNG file: the {name} chunk cannot be decoded")
    return text


@cache
def _recipe_reader() -> TypeAdapter[Recipe]:
    return TypeAdapter(Recipe)


def _read_recipe(text: str) -> tuple[Recipe, int]:
    try:
        data = json.loads(text)
        seed = data["seed"]
        recipe = _recipe_reader().validate_json(json.dumps(data["recipe"]), strict=True)
    except (ValidationError, ValueError, RecursionError, KeyError, TypeError):
        raise ValueError("the imagen chunk is not a recipe") from None
    request = recipe.request
    if request.comparison is not None:
        raise ValueError("the imagen chunk is not the recipe of a single image")
    seeds = (seed, request.base_seed, *(mix.seed for mix in request.mixes))
    in_range = type(seed) is int and all(0 <= each <= SEED_MAX for each in seeds)
    if not in_range or not has_sound_numbers(request):
        raise ValueError("the imagen chunk has a number out of range")
    return recipe, seed


def has_sound_numbers(request: GenerationRequest) -> bool:
    """Whether none of its numbers is infinite or NaN, an image that was extended lies within the
    result, and one of which a part was painted has a size."""
    numbers = [request.guidance]
    numbers += [n for use in request.adapters for n in (use.weight, use.text_weight or 0.0)]
    numbers += [n for part in (request.hires,) if part for n in (part.scale, part.strength)]
    numbers += [part.strength for part in (request.init_image,) if part]
    numbers += [n for p in (request.upscale,) if p for n in (p.scale, p.strength or 0.0)]
    numbers += [part.weight for part in (request.reference,) if part]
    numbers += [n for use in request.controls for n in (use.weight, use.start, use.end)]
    numbers += [use.strength for use in request.detail]
    numbers += [mix.strength for mix in request.mixes]
    return all(map(math.isfinite, numbers)) and _is_placed(request)


def _is_placed(request: GenerationRequest) -> bool:
    init = request.init_image
    area, box = (init.area, init.box) if init else (None, None)
    if area is not None:
        return box is None and min(area.width, area.height) > 0 <= area.padding
    if box is None:
        return True
    return min(box.width, box.height) > 0 and box.within(request.width, request.height)
