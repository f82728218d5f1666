"""SwarmUI: JSON under `sui_image_params`, with the hashes of the files under `sui_models`."""

from collections.abc import Mapping
from typing import Final

from bot.files.image_info import values
from bot.files.image_info.infotext import model_of, prompt_and_loras
from bot.files.image_info.model import ImageInfo, NamedLora
from bot.request.variation import Mix

NAME: Final = "SwarmUI"
_SAMPLER: Final = ("sampler", "comfyuisampler", "autowebuisampler")
_SCHEDULE: Final = ("scheduler", "comfyuischeduler")
_VARIATION: Final = ("variationseed", "variationseedstrength")
_USED: Final = (
    *("prompt", "negativeprompt", "seed", "steps", "cfgscale", "width", "height", "model", "loras"),
    *("loraweights", "loratencweights", "clipstopatlayer", "initimagecreativity", "refinerupscale"),
    *("refinersteps", "refinercontrolpercentage", *_SAMPLER, *_SCHEDULE),
)


def from_swarmui(texts: Mapping[str, str]) -> ImageInfo | None:
    data = values.json_object(texts.get("parameters"))
    params = values.mapping(data.get("sui_image_params"))
    if not params:
        return None
    digests = {
        values.stem(values.text(each.get("name"))): each.get("hash")
        for each in map(values.mapping, values.sequence(data.get("sui_models")))
    }
    prompt, tagged = prompt_and_loras(values.text(params.get("prompt")), {})
    names = [_stem(each) for each in values.sequence(params.get("loras"))][: values.LORAS_MAX]
    weights = _weights(params.get("loraweights"), len(names))
    texts_too = _weights(params.get("loratencweights"), len(names))
    loras = tuple(
        NamedLora(name, values.hashes(digests.get(name)), weight, other)
        for name, weight, other in zip(names, weights, texts_too, strict=True)
    )
    model = _stem(params.get("model"))
    variation = _variation(*(params.get(name) for name in _VARIATION))
    # Its layers count from the end: -2 is the last but one.
    skip = values.whole(params.get("clipstopatlayer"))
    scale = values.number(params.get("refinerupscale"))
    return ImageInfo(
        program=NAME,
        prompt=prompt,
        negative=values.text(params.get("negativeprompt")),
        seed=values.whole(params.get("seed")),
        variation=variation,
        steps=values.whole(params.get("steps")),
        guidance=values.number(params.get("cfgscale")),
        sampler=next((values.text(params[k]) for k in _SAMPLER if k in params), ""),
        schedule=next((values.text(params[k]) for k in _SCHEDULE if k in params), ""),
        size=values.size(params.get("width"), params.get("height")),
        model=model_of(model, digests.get(model)),
        loras=loras + tuple(lora for lora in tagged if lora.name not in names),
        clip_skip=-skip if skip is not None and skip < 0 else skip,
        hires=scale if scale and scale > 1 else None,
        hires_steps=values.whole(params.get("refinersteps")) if scale and scale > 1 else None,
        hires_strength=values.number(params.get("refinercontrolpercentage"))
        if scale and scale > 1
        else None,
        strength=values.number(params.get("initimagecreativity")),
        rest=values.rest(
            {**params, **values.mapping(data.get("sui_extra_data"))},
            (*_USED, *(_VARIATION if variation else ())),
        ),
    )


def _variation(seed: object, strength: object) -> str:
    """ "" for none, and what cannot be read."""
    own, share = values.whole(seed), values.number(strength)
    return "" if own is None or not share else str(Mix(own, share))


def _stem(value: object) -> str:
    return values.stem(values.text(value))


def _weights(value: object, count: int) -> list[float | None]:
    """A list of numbers, in versions before 0.9.5 of strings or one string, padded to `count`."""
    listed = value.split(",") if isinstance(value, str) else values.sequence(value)
    found = [values.number(each) for each in listed[:count]]
    return found + [None] * (count - len(found))
