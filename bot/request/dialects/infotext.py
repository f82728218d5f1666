"""Infotext: the text with which AUTOMATIC1111's web UI, Forge and we say how an image was made.

    a fox in the snow <lora:ink:0.8>
    Negative prompt: blurry
    Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7, Seed: 42, Size: 832x1216

One reader for image files and for what people paste into a prompt. Discord's option fields turn
line breaks into blanks, so it is also read as one line. Nothing here raises.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bot.request.dialects.adetailer import word_of
from bot.request.variation import STRENGTH

NEGATIVE: Final = "Negative prompt:"
PROMPT_LINES: Final = "Prompt lines"
"""Our own setting: how many lines the prompt has, where one of them looks like a negative one."""
VARIATIONS: Final = "Variations"
"""Our own setting: what is mixed into the noise, where the web UI has no words for it, because it
is of several seeds."""
MASK_MODE: Final = "Mask mode"
MASKED: Final = "Inpaint masked"
"""The web UI's setting for inpainting, and its value where what is white in the mask was changed.
"""
AREA: Final = "Inpaint area"
ONLY_MASKED: Final = "Only masked"
PADDING: Final = "Masked area padding"
"""The web UI's settings for painting only what is masked, which it writes where it does."""
EXTENDED: Final = "Extended"
"""Our own setting: where in the image that lies which was extended, such as `768x512+128+0`."""

DETAIL: Final = "Detail"
"""Our own setting: what was painted again."""

TILING: Final = "Tiling"
"""The web UI's setting for images whose opposite edges meet; `True` if they do."""

CONTROL_UNIT: Final = "ControlNet {}"
"""The setting of sd-webui-controlnet for each of its units, counted from 0."""

_SETTING_KEY: Final = re.compile(r"\s*(\w[\w \-/]{0,63}):[ \t]*")
_QUOTED: Final = re.compile(r'"(?:\\.|[^\\"])*"(?=\s*(?:,|$))')
_SETTINGS_MIN: Final = 3
_FIRST: Final = re.compile(r"(?<!\S)Steps: ?[0-9]{1,5},")
"""What every line of settings begins with."""
_INLINE_NEGATIVE: Final = re.compile(rf"(?<!\S){NEGATIVE}")
_BESIDE_STEPS: Final = ("Sampler", "CFG scale", "Seed", "Size")

_WHOLE: Final = re.compile(r"[0-9]{1,19}")
_NUMBER: Final = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_SIZE: Final = re.compile(r"[0-9]{1,5}x[0-9]{1,5}")
_VARIATION: Final = ("Variation seed", "Variation seed strength")
_DETECTOR: Final = "ADetailer model"
_DENOISED: Final = "ADetailer denoising strength"
_ALIGNED: Final = "Align Your Steps"
_OURS: Final = "imagen "
_ABOUT: Final = frozenset(
    {
        "Model hash",
        "Lora hashes",
        "TI hashes",
        "VAE hash",
        "Text encoder hash",
        "Hashes",
        "Version",
        "Created Date",
        "Civitai metadata",
    }
)
"""Settings that identify something else that is named, or have no part in the image."""


@dataclass(frozen=True, slots=True)
class Infotext:
    """The three parts of an infotext. settings: by name, in order, e.g. `Steps`, `Seed`."""

    prompt: str = field(repr=False)
    negative: str = field(repr=False)
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the settings of an infotext mean here.

    options: by the names of a Draft's fields, of their types; not checked against any limit.
    sampler, schedule: as they are named there; None if they are not. schedule: "" is a sampler's
        plain one. model_hash: "" if there is none. adapter_hashes: by the names in the tags.
    left: the names of settings that mean nothing here, or that cannot be read.
    names: of each option, as the infotext calls it.
    """

    options: Mapping[str, int | float | str]
    sampler: str | None
    schedule: str | None
    model_hash: str
    adapter_hashes: Mapping[str, str]
    left: tuple[str, ...]
    names: Mapping[str, str]


def parse_infotext(text: str) -> Infotext:
    """Parse an infotext, also one whose line breaks have become blanks.

    Without a line of settings, the whole text is the prompt.
    """
    *lines, last = text.rstrip().split("\n")
    flat = False
    if not _FIRST.match(last.lstrip()) and (first := _FIRST.search(last)):
        flat = len(settings := dict(_settings(last[first.start() :]))) >= _SETTINGS_MIN
        if flat:
            lines.append(last[: first.start()].rstrip())
    if not flat and len(settings := dict(_settings(last))) < _SETTINGS_MIN:
        lines, settings = text.split("\n"), {}
    counted = settings.pop(PROMPT_LINES, "")
    first_line = int(counted) if re.fullmatch(r"[0-9]{1,7}", counted) else 0
    opening = next(
        (n for n in range(first_line, len(lines)) if opens_negative(lines[n])), len(lines)
    )
    if flat and opening == len(lines) and (inline := _INLINE_NEGATIVE.search(lines[-1])):
        lines[-1:] = [lines[-1][: inline.start()].rstrip(), lines[-1][inline.start() :]]
        opening = len(lines) - 1
    negative = lines[opening:]
    if negative:
        negative[0] = negative[0].lstrip()[len(NEGATIVE) :].removeprefix(" ")
    return Infotext("\n".join(lines[:opening]), "\n".join(negative), settings)


def pasted_infotext(text: str) -> Infotext | None:
    """The infotext that a prompt is; None if it is words.

    A prompt with only a `Negative prompt:` in it is one, without settings.
    """
    read = parse_infotext(text)
    if "Steps" in read.settings and any(name in read.settings for name in _BESIDE_STEPS):
        return read
    if (inline := _INLINE_NEGATIVE.search(text)) is None:
        return None
    return Infotext(text[: inline.start()].rstrip(), text[inline.end() :].strip(), {})


def settings_of(read: Infotext) -> Settings:
    """What the settings of an infotext mean here, and which of them mean nothing."""
    rest = dict(read.settings)
    options: dict[str, int | float | str] = {}
    names: dict[str, str] = {}
    for name, option, meaning in _MEANINGS:
        if name in rest and (value := meaning(rest[name])) is not None:
            options[option], names[option] = value, name
            del rest[name]
    if _VARIATION[0] in rest and (mixed := variation_of(rest)) is not None:
        options["variation"], names["variation"] = mixed, _VARIATION[0]
        for name in _VARIATION:
            del rest[name]
    if "detail" not in options:
        detail, said = detailed_by_adetailer(rest)
        if detail:
            options["detail"], names["detail"] = detail, _DETECTOR
        for name in said:
            del rest[name]
    if "hires" in options:
        # There, a second pass takes as many steps as the first unless it is said.
        if "hires_steps" not in options and "steps" in options:
            options["hires_steps"], names["hires_steps"] = options["steps"], names["steps"]
        strength = _number(rest.pop("Denoising strength", ""))
        if strength is not None:
            options["hires_strength"] = strength
            names["hires_strength"] = "Denoising strength"
    elif "hires_steps" in options:
        del options["hires_steps"]
        rest["Hires steps"] = ""
    sampler, schedule = rest.pop("Sampler", None), rest.pop("Schedule type", None)
    if schedule == _ALIGNED:
        if "preset" not in options:
            rest["Schedule type"] = schedule
        schedule = None
    if rest.get("Version", "").startswith(_OURS):
        for network in ("VAE", "Text encoder"):
            rest.pop(network, None)  # here, it is the model's own
    left = tuple(name for name in rest if name not in _ABOUT)
    return Settings(
        options=options,
        sampler=sampler or None,
        schedule=schedule,
        model_hash=read.settings.get("Model hash", ""),
        adapter_hashes=_hashes(read.settings.get("Lora hashes", "")),
        left=left,
        names=names,
    )


def detailed_by_adetailer(settings: Mapping[str, str]) -> tuple[str, frozenset[str]]:
    """What ADetailer found and painted again, as it is typed here, and the settings that say it:
    "" and none where there is nothing, or more than is known."""
    typed: list[str] = []
    used: set[str] = set()
    for further in ("", " 2nd", " 3rd"):
        if (model := settings.get(f"{_DETECTOR}{further}")) is None:
            break
        if (word := word_of(model)) is None:
            return "", frozenset()
        strength = settings.get(f"{_DENOISED}{further}", "")
        typed.append(f"{word}:{strength}" if _number(strength) is not None else word)
        used |= {f"{_DETECTOR}{further}", f"{_DENOISED}{further}"} & settings.keys()
    return ", ".join(typed), frozenset(used)


def variation_of(settings: Mapping[str, str]) -> str | None:
    """What the settings mix into the noise, as it is typed here; None if they do not say it."""
    seed, strength = (settings.get(name, "") for name in _VARIATION)
    if _seed(seed) is None or not STRENGTH.fullmatch(strength):
        return settings.get(VARIATIONS) or None
    return f"{seed}:{strength}"


def opens_negative(line: str) -> bool:
    """Whether the negative prompt begins on this line."""
    return line.strip().startswith(NEGATIVE)


def _settings(line: str) -> Iterator[tuple[str, str]]:
    """`Key: value` pairs, left to right and without backtracking, because the line is untrusted."""
    position = 0
    while position < len(line):
        key = _SETTING_KEY.match(line, position)
        quoted = _QUOTED.match(line, key.end()) if key else None
        end = quoted.end() if quoted else key.end() if key else position
        comma = line.find(",", end)
        comma = len(line) if comma < 0 else comma
        if key:
            yield key[1], _unquote(quoted[0]) if quoted else line[key.end() : comma].strip()
        position = comma + 1


def _unquote(text: str) -> str:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def _hashes(text: str) -> dict[str, str]:
    pairs = (part.rpartition(":") for part in text.split(","))
    return {name.strip(): digest.strip() for name, colon, digest in pairs if colon}


def _whole(text: str) -> int | None:
    return int(text) if _WHOLE.fullmatch(text) else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) else None


def _seed(text: str) -> int | None:
    return -1 if text == "-1" else _whole(text)


def _size(text: str) -> str | None:
    return text if _SIZE.fullmatch(text) else None


def _text(text: str) -> str | None:
    return text or None


def tiling_of(text: str) -> bool | None:
    """Whether the setting `Tiling` says that opposite edges meet; None if it cannot be read."""
    return {"true": True, "false": False}.get(text.casefold())


_MEANINGS: Final[tuple[tuple[str, str, Callable[[str], int | float | str | None]], ...]] = (
    ("Model", "model", _text),
    ("Preset", "preset", _text),
    ("Size", "size", _size),
    ("Steps", "steps", _whole),
    ("CFG scale", "guidance", _number),
    ("Seed", "seed", _seed),
    (VARIATIONS, "variation", _text),
    (DETAIL, "detail", _text),
    (AREA, "inpaint_area", _text),
    (PADDING, "inpaint_padding", _whole),
    ("Clip skip", "clip_skip", _whole),
    (TILING, "tile", tiling_of),
    ("Hires upscale", "hires", _number),
    ("Hires steps", "hires_steps", _whole),
)
"""Setting, field of a Draft, and how its value is read."""
