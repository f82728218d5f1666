"""Which options of an earlier request a preset keeps, and which presets may be saved at all."""

from collections.abc import Collection, Mapping
from enum import StrEnum
from typing import Any, Final

from bot.errors import InvalidRequest
from bot.request.dialects.infotext import pasted_infotext
from bot.request.model import PRESETS, GenerationRequest
from bot.request.options import TEXTS_MAX, Options
from bot.request.parts import AdapterUse
from bot.request.redraft import redraft
from bot.request.unicode_text import storable, straight, visible
from catalog import Catalog

NAME_MAX: Final = 50
"""Characters of a name."""


class Part(StrEnum):
    """What of a request can be kept, besides its prompt."""

    MODEL = "model"
    LORAS = "loras"
    NEGATIVE = "negative"
    SIZE = "size"
    SAMPLING = "sampling"
    HIRES = "hires"
    COUNT = "count"
    SEED = "seed"


USUAL: Final = (*(Part.MODEL, Part.LORAS, Part.NEGATIVE, Part.SIZE, Part.SAMPLING, Part.HIRES),)
_FIELDS: Final[Mapping[Part, tuple[str, ...]]] = {
    Part.MODEL: ("model",),
    Part.LORAS: ("lora",),
    Part.NEGATIVE: ("negative",),
    Part.SIZE: ("size", "tile"),
    Part.SAMPLING: ("steps", "guidance", "scheduler", "clip_skip", "preset"),
    Part.HIRES: ("hires", "hires_strength", "hires_steps", "detail"),
    Part.COUNT: ("count",),
    Part.SEED: ("seed", "variation"),
}


def options_of(
    request: GenerationRequest,
    parts: Collection[Part],
    prompt: str,
    catalog: Catalog,
    *,
    nsfw: bool,
) -> Options:
    """The options of `request`, a single image or several of one kind, that belong to `parts`.

    prompt: the words to keep; "" for none.
    """
    draft = redraft(request, catalog, nsfw=nsfw, drawn=False)
    uses = (AdapterUse(a.name, a.weight or 0.0, a.text_weight) for a in draft.adapters)
    values: dict[str, Any] = {
        **{name: getattr(draft, name) for names in _FIELDS.values() for name in names},
        "lora": ", ".join(map(str, uses)) or None,
        "count": request.count,
        "negative": draft.negative or None,
    }
    kept = {name: values[name] for part in parts for name in _FIELDS[part]}
    return Options.from_dict({**kept, "prompt": prompt.strip() or None})


def checked_name(name: str) -> str:
    """`name` without what cannot be seen, in one line. Raises InvalidRequest."""
    clean = " ".join(straight(storable(name)).split())
    if not visible(clean):
        raise InvalidRequest("name", "presets.name.empty")
    if len(clean) > NAME_MAX:
        raise InvalidRequest("name", "presets.name.long", value=len(clean), max=NAME_MAX)
    if "," in clean:
        raise InvalidRequest("name", "presets.name.comma", value=clean)
    if clean.casefold() in PRESETS:
        raise InvalidRequest("name", "presets.name.reserved", value=clean)
    return clean


def checked_options(options: Options) -> Options:
    """Raise InvalidRequest for options that no preset may have; whether their values are valid,
    `compose` says. An empty text is none."""
    given = {
        name: value.strip() if isinstance(value, str) else value
        for name, value in options.given.items()
    }
    # An empty negative prompt says something: that there is none.
    given = {name: value for name, value in given.items() if value != "" or name == "negative"}
    if not given:
        raise InvalidRequest("options", "presets.empty")
    for name, most in TEXTS_MAX.items():
        if len(text := str(given.get(name, ""))) > most:
            raise InvalidRequest(name, "presets.long", value=len(text), max=most)
    if pasted_infotext(given.get("prompt", "")) is not None:
        # It would only be painted as words: what it sets, the other options do.
        raise InvalidRequest("prompt", "presets.pasted")
    if "preset" in given:
        given["preset"] = given["preset"].casefold()
        if given["preset"] not in PRESETS:
            value = given["preset"]
            raise InvalidRequest("preset", "preset.unknown", value=value, known=PRESETS)
    return Options.from_dict(given)
