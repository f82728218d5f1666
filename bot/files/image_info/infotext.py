"""AUTOMATIC1111's web UI, Forge and its descendants, Fooocus where it writes the same, and us."""

import re
from collections.abc import Mapping
from typing import Final

from bot.errors import InvalidRequest
from bot.files.image_info import values
from bot.files.image_info.model import ImageInfo, NamedFile, NamedLora
from bot.request.dialects.infotext import (
    DETAIL,
    TILING,
    VARIATIONS,
    detailed_by_adetailer,
    parse_infotext,
    tiling_of,
    variation_of,
)
from bot.request.syntax import TAG, extract_tags, with_named_weights

OURS: Final = "imagen"
_WHOLE_TEXT_MIN: Final = 3
"""Settings that a text has to have to be an infotext; any comment can be the text of one."""
_USED: Final = (
    *("Steps", "Sampler", "Schedule type", "CFG scale", "Seed", "Size", "Model", "Model hash"),
    *("Clip skip", "Hires upscale", "Hires steps", "Lora hashes", "Lora weights"),
)


def from_infotext(texts: Mapping[str, str]) -> ImageInfo | None:
    read = parse_infotext(texts.get("parameters", ""))
    settings = read.settings
    if len(settings) < _WHOLE_TEXT_MIN or not {"Steps", "Seed", "Sampler"} & settings.keys():
        return None
    typed = with_named_weights(read.prompt)
    prompt, loras = prompt_and_loras(typed, _hashes(settings.get("Lora hashes", "")))
    known = {lora.name for lora in loras}
    loras += tuple(lora for lora in _listed(settings) if lora.name not in known)
    hires = values.number(settings.get("Hires upscale"))
    strength = values.number(settings.get("Denoising strength"))
    used = {*_USED, "Denoising strength"} if strength is not None else {*_USED}
    variation = variation_of(settings) or ""
    if variation:
        used |= {"Variation seed", "Variation seed strength", VARIATIONS}
    detail = settings.get(DETAIL, "")
    used |= {DETAIL}
    if not detail:
        detail, said = detailed_by_adetailer(settings)
        used |= said
    tile = tiling_of(settings.get(TILING, ""))
    used |= {TILING} if tile is not None else set()
    raw_prompt = settings.get("Raw prompt")  # Fooocus: what was typed, before its styles
    return ImageInfo(
        program=_program(settings, texts),
        prompt=raw_prompt or prompt,
        negative=settings.get("Raw negative prompt", read.negative),
        seed=values.whole(settings.get("Seed")),
        variation=variation,
        steps=values.whole(settings.get("Steps")),
        guidance=values.number(settings.get("CFG scale")),
        sampler=settings.get("Sampler", ""),
        schedule=settings.get("Schedule type", settings.get("Scheduler", "")),
        size=size_of(settings.get("Size", "")),
        model=model_of(settings.get("Model", ""), settings.get("Model hash")),
        loras=loras,
        clip_skip=values.whole(settings.get("Clip skip")),
        hires=hires,
        hires_steps=values.whole(settings.get("Hires steps")) if hires else None,
        hires_strength=strength if hires else None,
        strength=None if hires else strength,
        detail=detail,
        tile=tile,
        rest=values.rest(settings, {*used, "Raw prompt", "Raw negative prompt", "Scheduler"}),
    )


def prompt_and_loras(prompt: str, hashes: Mapping[str, str]) -> tuple[str, tuple[NamedLora, ...]]:
    """A prompt without its tags, and the LoRAs that these load. hashes: by the names in the tags.

    A tag that cannot be read stays in the prompt, where it is seen.
    """
    if len(TAG.findall(prompt)) > values.LORAS_MAX:
        return prompt, ()
    try:
        bare, asks = extract_tags(prompt)
    except InvalidRequest:
        return prompt, ()
    return bare, tuple(
        NamedLora(
            values.stem(ask.name),
            values.hashes(hashes.get(ask.name)),
            1.0 if ask.weight is None else ask.weight,
            ask.text_weight,
        )
        for ask in asks
    )


def size_of(text: str) -> tuple[int, int] | None:
    """`832x1216` as two numbers."""
    match = re.fullmatch(r"\s*([0-9]{1,6}) *[x×*] *([0-9]{1,6})\s*", text)
    return values.size(match[1], match[2]) if match else None


def model_of(name: str, *hashes: object) -> NamedFile | None:
    found = NamedFile(values.stem(name), values.hashes(*hashes))
    return found if found.name or found.hashes else None


def _program(settings: Mapping[str, str], texts: Mapping[str, str]) -> str:
    version = settings.get("Version", "")
    if version.startswith(f"{OURS} "):
        return OURS
    software = texts.get("Software", "")
    if version.startswith("Fooocus") or software.startswith("Fooocus"):
        return "Fooocus"
    if version == "ComfyUI":
        return "ComfyUI"
    forge = re.match(r"f[0-9]|forge|neo|classic", version, re.IGNORECASE)
    return "Forge" if forge else "AUTOMATIC1111"


def _hashes(text: str) -> dict[str, str]:
    return {name: parts[0] for name, *parts in _entries(text)}


def _entries(text: str) -> list[list[str]]:
    """`name: hash, name: hash`; some write a weight behind it, or in its place."""
    entries = ([part.strip() for part in each.split(":")] for each in text.split(","))
    return [entry for entry in entries if len(entry) > 1][: values.LORAS_MAX]


def _listed(settings: Mapping[str, str]) -> list[NamedLora]:
    """LoRAs that Fooocus lists, which are in no tag; `name: weight`, or `name: hash: weight`."""
    named = _entries(settings.get("Lora hashes", ""))
    hashes = {name: parts[0] for name, *parts in named}
    weights = {name: parts[0] for name, *parts in _entries(settings.get("Lora weights", ""))}
    weights |= {name: parts[1] for name, *parts in named if len(parts) > 1}
    return [
        NamedLora(name, values.hashes(hashes.get(name)), values.number(weight))
        for name, weight in weights.items()
    ]
