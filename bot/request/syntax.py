"""Parsers for the text options of a request: LoRA lists, `<lora:…>` tags, sizes."""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from bot.errors import InvalidRequest
from catalog import ModelEntry
from catalog.families import Family

TAG = re.compile(r"<(?:lora|lyco):([^<>]*)>", re.IGNORECASE)
HALF_TAG = re.compile(r"<\s*(?:lora|lyco)\s*:[^<>,\n]*", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*|,\d+)?|\.\d+)")
DECIMAL_COMMA = re.compile(r"(?<=:)(\s*[+-]?\d+),(\d+)(?=\s*(?:[:,\n]|$))")
"""Of a weight, as in much of Europe, with no blank that would make it part two LoRAs."""
NO_COMMA = re.compile(rf"(?<=:)(\s*{NUMBER.pattern})\s+(?=[^\s:=])")
"""A weight that something else follows, with nothing in between but a blank."""
WEIGHT_NAMES = ("unet", "te")
DIMENSIONS = re.compile(r"(\d{1,9})\s*[x×*]\s*(\d{1,9})", re.IGNORECASE)
RATIO = re.compile(r"(\d{1,3})\s*[:/]\s*(\d{1,3})")


@dataclass(frozen=True, slots=True)
class AdapterAsk:
    """A LoRA as typed; a weight is None if it was not given.

    text_weight: for the text encoders; None if it is the same as `weight`.
    """

    name: str
    weight: float | None
    text_weight: float | None = None

    def __str__(self) -> str:
        """As it is typed."""
        weights = (self.weight, self.text_weight)
        return ":".join([self.name, *(f"{each:g}" for each in weights if each is not None)])


def _nothing(_: str) -> bool:
    return False


def parse_adapters(text: str, called: Callable[[str], object] = _nothing) -> tuple[AdapterAsk, ...]:
    """`anime-style:0.6, detail:0.8:0.5` → two asks. Tags are parsed too. Raises InvalidRequest.

    called: whether a LoRA is called that, and so `a:0,8` may mean two.
    """
    rest, asks = extract_tags(text)
    rest = DECIMAL_COMMA.sub(
        lambda each: each[0] if called(each[2]) else f"{each[1]}.{each[2]}", rest
    )
    parts = [part.strip() for part in re.split(r"[,\n]", rest)]
    return (*asks, *(_ask(part) for part in parts if part))


def extract_tags(prompt: str) -> tuple[str, tuple[AdapterAsk, ...]]:
    """Take `<lora:name:weight>` tags, AUTOMATIC1111's syntax, out of a prompt.

    Returns the prompt without them, tidied where they were, and the asks in order. Raises
    InvalidRequest for half a tag too: as plain words it would silently drop the LoRA.
    """
    if half := HALF_TAG.search(TAG.sub(" ", prompt)):
        raise InvalidRequest("lora", "lora.half_tag", value=half[0].strip())
    asks = tuple(_ask(match[1].strip()) for match in TAG.finditer(prompt))
    if not asks:
        return prompt.strip(), ()
    return tidied(TAG.sub(_between, prompt)), asks


def with_named_weights(prompt: str) -> str:
    """A prompt written for AUTOMATIC1111, with the weights in its tags by name.

    There, unnamed, the text encoders' comes first and is the other's as well unless that is given
    (extensions-builtin/Lora/extra_networks_lora.py). Tags that it could not read are left as they
    are.
    """
    return TAG.sub(_with_named_weights, prompt)


def _with_named_weights(tag: re.Match[str]) -> str:
    name, *typed = (part.strip() for part in tag[1].split(":"))
    named = {}
    for part in typed:
        which, equals, number = (text.strip() for text in part.partition("="))
        if equals:
            named[which.lower()] = number
    unnamed = [part for part in typed if "=" not in part]
    unclear = len(unnamed) + len(named) < len(typed) or len(unnamed) > len(WEIGHT_NAMES)
    if unclear or not named.keys() <= {*WEIGHT_NAMES} or not (named or len(unnamed) > 1):
        return tag[0]
    text, *others = unnamed or ["1"]
    text = named.get("te", text)
    weight = named.get("unet", others[0] if others else text)
    return f"{tag[0][: tag.start(1) - tag.start()]}{name}:te={text}:unet={weight}>"


def _between(tag: re.Match[str]) -> str:
    """What is left of a tag: nothing within a word, which it does not part in the web UI either."""
    before, after = tag.string[: tag.start()][-1:], tag.string[tag.end() :][:1]
    return "" if before.isalnum() and after.isalnum() else " "


def tidied(prompt: str) -> str:
    """A prompt from which something was taken out, without the blanks and commas around it."""
    bare = re.sub(r"[ \t]+", " ", prompt)
    bare = re.sub(r" ?,(?: ?,)+", ",", bare)
    return bare.strip().strip(",").strip()


def check_no_tags(negative: str) -> None:
    """Raise InvalidRequest if a negative prompt has a tag: its words would stay, without effect."""
    if tag := HALF_TAG.search(negative):
        raise InvalidRequest("negative", "lora.in_negative", value=tag[0].strip())


def _ask(text: str) -> AdapterAsk:
    """Parse `name`, `name:unet`, `name:unet:text`, or AUTOMATIC1111's `name:te=…:unet=…`.

    Unnamed, the web UI has the two weights in the opposite order, see `with_named_weights`; named,
    they mean the same.
    """
    name, *typed = (part.strip() for part in text.split(":"))
    if not name:
        raise InvalidRequest("lora", "lora.no_name", value=text)
    given: dict[str, float] = {}
    in_order = iter(WEIGHT_NAMES)
    for part in typed:
        before, equals, after = (text.strip() for text in part.partition("="))
        which, number = (before.lower(), after) if equals else (next(in_order, ""), part)
        if which not in WEIGHT_NAMES or which in given or not NUMBER.fullmatch(number):
            if (example := NO_COMMA.sub(r"\1, ", text)) != text:
                raise InvalidRequest("lora", "lora.no_comma", value=text, example=example)
            raise InvalidRequest("lora", "lora.bad_weight", name=name, value=":".join(typed))
        given[which] = float(number.replace(",", "."))
    weight, text_weight = given.get("unet"), given.get("te")
    return AdapterAsk(name, weight, None if text_weight == weight else text_weight)


def parse_size(text: str, native: tuple[int, int], family: Family) -> tuple[int, int]:
    """`832x1216`, or a ratio such as `16:9` at the pixel count of `native` → (width, height).

    Only the syntax is checked here; `compose` checks the model's bounds.
    """
    if match := DIMENSIONS.fullmatch(text.strip()):
        return int(match[1]), int(match[2])
    if match := RATIO.fullmatch(text.strip()):
        across, down = int(match[1]), int(match[2])
        if across and down:
            return at_ratio(across, down, native, family)
    raise InvalidRequest("size", "size.form", value=text)


def usual_sizes(model: ModelEntry) -> dict[tuple[int, int], tuple[int, int]]:
    """Each usual aspect ratio by its size at the model's pixel count, if the model allows it."""
    sizes: dict[tuple[int, int], tuple[int, int]] = {}
    for ratio in model.family.shapes:
        size = at_ratio(*ratio, model.size, model.family)
        fits = model.min_side <= min(size) <= max(size) <= model.max_side
        if fits and size[0] * size[1] <= model.max_pixels:
            sizes.setdefault(size, ratio)
    return sizes


def at_ratio(across: int, down: int, native: tuple[int, int], family: Family) -> tuple[int, int]:
    """The size with that aspect ratio whose pixel count is nearest to `native`'s."""
    pixels = native[0] * native[1]
    bucket = family.bucket_step
    step = bucket if min(native) >= 8 * bucket else family.pixel_step
    width = math.sqrt(pixels * across / down)
    return max(step, round(width / step) * step), max(step, round(pixels / width / step) * step)
