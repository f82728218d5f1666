"""What a sidecar says, whichever program wrote it.

Known are: AUTOMATIC1111 and Forge (`activation text`, `preferred weight`), SwarmUI
(`modelspec.title`), ComfyUI-Lora-Manager (`model_name`, `usage_tips`, all of Civitai's answer in
`civitai`), Stability Matrix (`ModelName`, `TrainedWords`), rgthree-comfy (`trainedWords` with their
counts), and Civitai's own answers: one version, with its model inside, or a model with all its
`modelVersions`. Programs also write each other's files, so the names of the fields decide.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import from_json

from catalog.limits import LICENCE_MAX, NAME_MAX, TAG_MAX, TAGS_MAX, WEIGHT_MAX, WEIGHT_MIN
from catalog.lines import clean_line
from catalog.schema import AdapterEntry, explain
from catalog.sidecars.permissions import permissions
from catalog.sidecars.plain_text import plain_text

DESCRIPTION_MAX: Final = 1000
ALTERNATIVES: Final = 10
"""So many trained words are taken to belong together; more of them to choose from."""

_TITLES: Final = ("usertitle", "title", "modelname")
_WEIGHTS: Final = ("preferredweight", "loradefaultweight")
_DESCRIPTIONS: Final = ("description", "modeldescription", "versiondescription")
_BASES: Final = ("basemodel", "sdversion", "architecture")
_LICENCES: Final = ("license", "licence", "licensename")
_LORA_TAG: Final = re.compile(r"<(?:lora|lyco|hypernet):[^<>]*>", re.IGNORECASE)
"""What AUTOMATIC1111's users and authors on Civitai write among trigger words; it is none."""
_MATURE: Final = frozenset({"mature", "r", "x", "xxx", "explicit"})


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What is said about a weight file next to it; empty where nothing is.

    trigger_words: that belong into a prompt. others: further ones, to choose from.
    base: the base model in the writer's words, such as "SDXL 1.0", "Pony" or "Flux.1 D".
    tags: words to sort by, in lower case.
    """

    name: str = ""
    trigger_words: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    weight: float | None = None
    description: str = ""
    base: str = ""
    nsfw: bool = False
    licence: str = ""
    tags: tuple[str, ...] = ()


def fields_of(data: Mapping[str, Any], file_name: str) -> tuple[Sidecar, list[str]]:
    """What the object says about the weight file of that name, and problems with its fields."""
    wrong: list[str] = []
    levels = [_Level(level) for level in _levels(data, file_name, wrong)]
    words, others = _words(levels, wrong)
    return Sidecar(
        name=_name(levels, wrong),
        trigger_words=words,
        others=others,
        weight=_weight(levels, wrong),
        description=_description(levels, wrong),
        base=clean_line(_text(levels, _BASES, wrong), NAME_MAX),
        nsfw=any(_is_mature(level.get("nsfw")) for level in levels),
        licence=_licence(levels, wrong),
        tags=_tags(levels, wrong),
    ), wrong


class _Level:
    """One object of a sidecar; its fields are found however their names are written."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._fields: dict[str, tuple[str, Any]] = {}
        for name, value in data.items():
            if value is not None and len(name) <= NAME_MAX:
                self._fields.setdefault(_plain(name), (name, value))

    def get(self, plain: str) -> Any:
        return self._fields.get(plain, ("", None))[1]

    def written(self, plain: str) -> str:
        """The field's name as it is written."""
        return self._fields[plain][0]


def _plain(name: str) -> str:
    """`trained_words`, `TrainedWords` and `trained words` alike; without `modelspec.`."""
    return "".join(c for c in name.removeprefix("modelspec.").casefold() if c.isalnum())


def _levels(
    data: Mapping[str, Any], file_name: str, wrong: list[str]
) -> Iterator[Mapping[str, Any]]:
    """The objects that describe the file, the most telling first."""
    yield data
    if isinstance(inner := data.get("civitai"), dict):
        yield from _levels(inner, file_name, wrong)
    if (versions := data.get("modelVersions")) is not None:
        version = _version(versions, file_name)
        if version is None:
            wrong.append(f'"modelVersions" ignored: none of them has a file {file_name}')
        else:
            yield version
    if isinstance(model := data.get("model"), dict):
        yield model


def _version(versions: object, file_name: str) -> Mapping[str, Any] | None:
    """The version that the file is of: by its name, or else the only one."""
    known = [v for v in versions if isinstance(v, dict)] if isinstance(versions, list) else []
    for version in known:
        files = version.get("files")
        for file in files if isinstance(files, list) else []:
            name = file.get("name") if isinstance(file, dict) else None
            if isinstance(name, str) and name.casefold() == file_name.casefold():
                return version
    return known[0] if len(known) == 1 else None


def _name(levels: list[_Level], wrong: list[str]) -> str:
    # What Civitai calls the name of a version is `v1.0`: its model's is meant.
    said = _text(levels, _TITLES, wrong) or _text(_models_first(levels)[:1], ("name",), wrong)
    return clean_line(said, NAME_MAX)


def _models_first(levels: list[_Level]) -> list[_Level]:
    """The levels that describe a model before those that describe one version of it."""
    return sorted(levels, key=lambda level: level.get("modelid") is not None)


def _words(levels: list[_Level], wrong: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The trigger words, and others to choose from."""
    typed = _text(levels, ("activationtext", "triggerphrase"), wrong)
    if words := _checked(typed.split(","), wrong):
        return words, ()
    tags: tuple[str, ...] = ()
    for level in levels:
        said = level.get("trainedwords")
        if said is None:
            continue
        if isinstance(said, str):
            said = said.split(",")
        if not isinstance(said, list):
            wrong.append(f'"{level.written("trainedwords")}" ignored: it must be a list')
            continue
        tags = tags or _checked(_split(map(_word, filter(_is_tag, said[:50]))), [])
        given = (_word(one).strip(" ,\t\n") for one in said if not _is_tag(one))
        phrases = [word for word in given if word]
        # Phrases of several words are alternatives: one for each outfit of a character.
        several = len(phrases) > ALTERNATIVES or any("," in phrase for phrase in phrases)
        first = phrases[:1] if several else phrases
        used = _checked(_split(first), wrong)
        rest = [word for word in _split(phrases[len(first) : 50]) if word not in used]
        if used:
            return used, _checked([*rest, *(tag for tag in tags if tag not in used)], [])
    return (), tags


def _word(said: object) -> str:
    if isinstance(said, dict):
        said = said.get("word")
    return said if isinstance(said, str) else ""


def _is_tag(said: object) -> bool:
    """Whether rgthree-comfy found a word among the training tags, and nowhere else."""
    return isinstance(said, dict) and bool(
        said.get("metadata") and not said.get("civitai") and not said.get("user")
    )


def _split(phrases: Iterable[str]) -> list[str]:
    return [word for phrase in phrases for word in phrase.split(",")]


def _checked(words: Iterable[str], wrong: list[str]) -> tuple[str, ...]:
    """The words that may be trigger words, each once."""
    bare = (_LORA_TAG.sub("", word) for word in words)
    cleaned = filter(None, (clean_line(word, len(word)) for word in bare))
    fine = []
    for word in dict.fromkeys(cleaned):
        if problem := _problem(trigger_words=(word,)):
            wrong.append(problem)
        else:
            fine.append(word)
    if problem := _problem(trigger_words=tuple(fine)):
        wrong.append(problem)
        return ()
    return tuple(fine)


def _problem(**fields: Any) -> str:
    try:
        AdapterEntry(key="a", name="a", path="a", **fields)
    except ValidationError as error:
        return f"ignored: {explain(error)}"
    return ""


def _weight(levels: list[_Level], wrong: list[str]) -> float | None:
    for level in levels:
        for field in _WEIGHTS:
            said = level.get(field)
            if isinstance(said, str):
                said = _number(said)  # as SwarmUI writes it
            if said and (weight := _sound(said, level.written(field), wrong)) is not None:
                return weight
        tips = level.get("usagetips")
        if isinstance(tips, str) and (said := _strength(tips)):
            weight = _sound(said, f"{level.written('usagetips')}.strength", wrong)
            if weight is not None:
                return weight
    return None


def _sound(weight: object, name: str, wrong: list[str]) -> float | None:
    if type(weight) not in {int, float} or not math.isfinite(weight):  # type: ignore[arg-type]
        wrong.append(f'"{name}" ignored: it must be a number')
    elif not WEIGHT_MIN <= weight <= WEIGHT_MAX:  # type: ignore[operator]
        wrong.append(
            f'"{name}" ignored: it must be from {WEIGHT_MIN:g} to {WEIGHT_MAX:g}, got {weight:g}'
        )
    else:
        return float(weight)  # type: ignore[arg-type]
    return None


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _strength(tips: str) -> object:
    """ComfyUI-Lora-Manager keeps an object as text: `{"strength": 0.8}`."""
    try:
        said = from_json(tips) if tips.strip() else None
    except ValueError:
        return None
    return said.get("strength") if isinstance(said, dict) else None


def _description(levels: list[_Level], wrong: list[str]) -> str:
    return plain_text(_text(_models_first(levels), _DESCRIPTIONS, wrong), DESCRIPTION_MAX)


def _licence(levels: list[_Level], wrong: list[str]) -> str:
    """By its name, or else what Civitai says may be done."""
    named = clean_line(_text(levels, _LICENCES, wrong), LICENCE_MAX)
    return named or next(filter(None, (permissions(level.get) for level in levels)), "")


def _tags(levels: list[_Level], wrong: list[str]) -> tuple[str, ...]:
    """The first that are there, each once."""
    for level in levels:
        said = level.get("tags")
        if isinstance(said, str):
            said = said.split(",")
        if said is not None and not isinstance(said, list):
            wrong.append(f'"{level.written("tags")}" ignored: it must be a list')
        elif said:
            words = (one.get("name") if isinstance(one, dict) else one for one in said[:100])
            lines = (clean_line(word, TAG_MAX + 1) for word in words if isinstance(word, str))
            fine = dict.fromkeys(line.casefold() for line in lines if 0 < len(line) <= TAG_MAX)
            if fine:
                return tuple(fine)[:TAGS_MAX]
    return ()


def _text(levels: Iterable[_Level], names: Iterable[str], wrong: list[str]) -> str:
    """The first of these fields that has text."""
    for level in levels:
        for name in names:
            said = level.get(name)
            if isinstance(said, str):
                if said.strip():
                    return said
            elif said:
                wrong.append(f'"{level.written(name)}" ignored: it must be text')
    return ""


def _is_mature(said: object) -> bool:
    return said is True or (isinstance(said, str) and said.strip().casefold() in _MATURE)
