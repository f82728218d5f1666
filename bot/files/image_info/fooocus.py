"""Fooocus: JSON in `parameters`, if it is not an infotext; the same in a UserComment."""

from collections.abc import Mapping
from typing import Any, Final

from bot.files.image_info import values
from bot.files.image_info.infotext import model_of, size_of
from bot.files.image_info.model import ImageInfo, NamedLora

NAME: Final = "Fooocus"
_USED: Final = (
    *("prompt", "negative_prompt", "full_prompt", "full_negative_prompt", "seed", "steps"),
    *("guidance_scale", "sampler", "scheduler", "resolution", "base_model", "base_model_hash"),
    *("loras", "clip_skip", "width", "height"),
)
_COMBINED: Final = "lora_combined_"


def from_fooocus(texts: Mapping[str, str]) -> ImageInfo | None:
    data = values.json_object(texts.get("parameters"))
    if "base_model" not in data and "guidance_scale" not in data:
        return None
    # `(1152, 896)`, as Python writes a pair.
    resolution = values.text(data.get("resolution")).strip("() ").replace(",", "x")
    named = [key for key in data if key.startswith(_COMBINED)]
    return ImageInfo(
        program=NAME,
        prompt=values.text(data.get("prompt")),
        negative=values.text(data.get("negative_prompt")),
        seed=values.whole(data.get("seed")),
        steps=values.whole(data.get("steps")),
        guidance=values.number(data.get("guidance_scale")),
        sampler=values.text(data.get("sampler")),
        schedule=values.text(data.get("scheduler")),
        size=size_of(resolution) or values.size(data.get("width"), data.get("height")),
        model=model_of(values.text(data.get("base_model")), data.get("base_model_hash")),
        loras=_loras(data, named),
        clip_skip=values.whole(data.get("clip_skip")),
        rest=values.rest(data, {*_USED, *named}),
    )


def _loras(data: Mapping[str, Any], named: list[str]) -> tuple[NamedLora, ...]:
    """`loras` are lists of name, weight and hash; before 2.2 there were only texts."""
    loras = []
    for each in map(values.sequence, values.sequence(data.get("loras"))):
        name, weight, digest, *_ = (*each, None, None, None)
        if isinstance(name, str):
            loras.append(NamedLora(values.stem(name), values.hashes(digest), values.number(weight)))
    if not loras:
        for key in named:
            name, _, weight = values.text(data[key]).rpartition(" : ")
            name = name.rpartition(" : ")[2]  # in later versions, whether it is used stands first
            if name and name != "None":
                loras.append(NamedLora(values.stem(name), (), values.number(weight)))
    return tuple(loras[: values.LORAS_MAX])
