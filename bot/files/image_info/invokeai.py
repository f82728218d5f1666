"""InvokeAI: `invokeai_metadata`, and `sd-metadata` of its versions before 3."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bot.files.image_info import values
from bot.files.image_info.infotext import model_of
from bot.files.image_info.model import ImageInfo, NamedLora
from bot.request.variation import Mix, variation_text

NAME: Final = "InvokeAI"
_SEAMLESS: Final = ("seamless_x", "seamless_y")
_USED: Final = (
    *("positive_prompt", "negative_prompt", "seed", "steps", "cfg_scale", "scheduler", "width"),
    *("height", "model", "loras", "strength", "clip_skip"),
)
_USED_BEFORE: Final = ("prompt", "seed", "steps", "cfg_scale", "sampler", "width", "height")
_VARIATIONS: Final = "variations"
_LISTED_MAX: Final = 64
_NEGATIVE: Final = re.compile(r"\[([^\[\]]*)\]")


def from_invokeai(texts: Mapping[str, str]) -> ImageInfo | None:
    data = values.json_object(texts.get("invokeai_metadata"))
    if not data:
        return _before_3(values.json_object(texts.get("sd-metadata")))
    scheduler, schedule = _scheduler(values.text(data.get("scheduler")))
    # Along one axis alone, there is nothing like it here.
    around = {data.get(name) is True for name in _SEAMLESS}
    model = values.mapping(data.get("model"))
    return ImageInfo(
        program=NAME,
        prompt=values.text(data.get("positive_prompt")),
        negative=values.text(data.get("negative_prompt")),
        seed=values.whole(data.get("seed")),
        steps=values.whole(data.get("steps")),
        guidance=values.number(data.get("cfg_scale")),
        sampler=scheduler,
        schedule=schedule,
        size=values.size(data.get("width"), data.get("height")),
        model=model_of(_name(model), model.get("hash")),
        loras=tuple(
            NamedLora(_name(of), values.hashes(of.get("hash")), values.number(each.get("weight")))
            for each in map(values.mapping, values.sequence(data.get("loras"))[: values.LORAS_MAX])
            if (of := values.mapping(each.get("model") or each.get("lora")))
        ),
        # Here, CLIP skip counts from 0, as layers left out.
        clip_skip=None if not (skip := values.whole(data.get("clip_skip"))) else skip + 1,
        strength=values.number(data.get("strength")),
        tile=around == {True} or None,
        rest=values.rest(data, (*_USED, *(_SEAMLESS if len(around) == 1 else ()))),
    )


def _before_3(data: dict[str, Any]) -> ImageInfo | None:
    image = values.mapping(data.get("image"))
    if not image:
        return None
    asked = image.get("prompt")
    parts = [values.text(values.mapping(each).get("prompt")) for each in values.sequence(asked)]
    prompt = ", ".join(filter(None, parts)) or values.text(asked)
    sampler, schedule = _scheduler(values.text(image.get("sampler")))
    variation = _variation(values.sequence(image.get(_VARIATIONS)))
    return ImageInfo(
        program=NAME,
        prompt=" ".join(_NEGATIVE.sub(" ", prompt).split()),
        negative=", ".join(part.strip() for part in _NEGATIVE.findall(prompt)),
        seed=values.whole(image.get("seed")),
        variation=variation,
        steps=values.whole(image.get("steps")),
        guidance=values.number(image.get("cfg_scale")),
        sampler=sampler,
        schedule=schedule,
        size=values.size(image.get("width"), image.get("height")),
        model=model_of(values.text(data.get("model_weights")), data.get("model_hash")),
        rest=values.rest(image, (*_USED_BEFORE, *([_VARIATIONS] if variation else []))),
    )


def _variation(listed: Sequence[object]) -> str:
    """Its `-V 12:0.2,99:0.1`, listed by seed and weight; "" for none, and what cannot be read."""
    mixes = []
    for each in map(values.mapping, listed[:_LISTED_MAX]):
        seed, strength = values.whole(each.get("seed")), values.number(each.get("weight"))
        if seed is None or strength is None:
            return ""
        mixes.append(Mix(seed, strength))
    return variation_text(mixes)


def _scheduler(name: str) -> tuple[str, str]:
    """`dpmpp_2m_k` is the sampler with Karras' schedule."""
    return (name.removesuffix("_k"), "karras") if name.endswith("_k") else (name, "")


def _name(model: Mapping[str, Any]) -> str:
    """Before version 4, a model's name was in `model_name`."""
    return values.stem(values.text(model.get("name") or model.get("model_name")))
