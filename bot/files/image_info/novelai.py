"""NovelAI: JSON in `Comment`, and the same in the lowest bits of the alpha channel."""

from collections.abc import Mapping
from typing import Any, Final

from bot.files.image_info import values
from bot.files.image_info.infotext import model_of
from bot.files.image_info.model import ImageInfo

NAME: Final = "NovelAI"
_PLAIN: Final = "PromptGenerateRequest"
_USED: Final = (
    *("prompt", "uc", "negative_prompt", "seed", "steps", "scale", "sampler", "noise_schedule"),
    *("width", "height", "strength", "v4_prompt", "v4_negative_prompt", "signed_hash"),
)


def from_novelai(texts: Mapping[str, str]) -> ImageInfo | None:
    data = values.json_object(texts.get("Comment"))
    if not {"uc", "sampler", "scale", "v4_prompt"} & data.keys():
        return None
    from_noise = data.get("request_type") == _PLAIN
    return ImageInfo(
        program=NAME,
        prompt=_prompt(data, "v4_prompt", "prompt") or texts.get("Description", ""),
        negative=_prompt(data, "v4_negative_prompt", "uc"),
        seed=values.whole(data.get("seed")),
        steps=values.whole(data.get("steps")),
        guidance=values.number(data.get("scale")),
        sampler=values.text(data.get("sampler")),
        schedule=values.text(data.get("noise_schedule")),
        size=values.size(data.get("width"), data.get("height")),
        model=model_of(texts.get("Source", "")),
        strength=None if from_noise else values.number(data.get("strength")),
        rest=values.rest(data, _USED),
    )


def from_stealth(hidden: str) -> Mapping[str, str]:
    """The texts that were hidden: NovelAI's by keyword, or an infotext."""
    data = values.json_object(hidden)
    if "Comment" not in data:
        return {"parameters": hidden}
    return {key: value for key, value in data.items() if isinstance(value, str)}


def _prompt(data: Mapping[str, Any], newer: str, older: str) -> str:
    """The whole prompt: from version 4 on, with those of the characters."""
    caption = values.mapping(values.mapping(data.get(newer)).get("caption"))
    characters = map(values.mapping, values.sequence(caption.get("char_captions")))
    parts = [
        values.text(caption.get("base_caption")) or values.text(data.get(older)),
        *(values.text(each.get("char_caption")) for each in characters),
    ]
    return ", ".join(filter(None, (part.strip() for part in parts)))
