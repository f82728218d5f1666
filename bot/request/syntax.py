"""The small languages of a request: LoRA lists, `<lora:…>` tags, sizes."""

import math
import re
from dataclasses import dataclass

from bot.errors import InvalidRequest

TAG = re.compile(r"<(?:lora|lyco):([^<>]*)>", re.IGNORECASE)
NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)")
DIMENSIONS = re.compile(r"(\d{1,5})\s*[x×*]\s*(\d{1,5})", re.IGNORECASE)
RATIO = re.compile(r"(\d{1,3})\s*[:/]\s*(\d{1,3})")

PIXEL_STEP = 8
"""The VAE's scale: both sides are multiples of it."""
BUCKET_STEP = 64
"""SDXL was trained on sides that are multiples of 64 (SDXL paper, arXiv 2307.01952, appendix I)."""


@dataclass(frozen=True, slots=True)
class AdapterAsk:
    """A LoRA as it was typed; `weight` is None where none was given."""

    name: str
    weight: float | None


def parse_adapters(text: str) -> tuple[AdapterAsk, ...]:
    """`anime-style:0.6, detail` → two asks. Tags are read too. Raises InvalidRequest."""
    rest, asks = extract_tags(text)
    parts = [part.strip() for part in re.split(r"[,\n]", rest)]
    return (*asks, *(_ask(part) for part in parts if part))


def extract_tags(prompt: str) -> tuple[str, tuple[AdapterAsk, ...]]:
    """Take AUTOMATIC1111's `<lora:name:weight>` tags out of a prompt.

    Returns the prompt without them, tidied where they stood, and the asks in their order.
    """
    asks = tuple(_ask(match[1].strip()) for match in TAG.finditer(prompt))
    if not asks:
        return prompt.strip(), ()
    bare = TAG.sub(" ", prompt)
    bare = re.sub(r"[ \t]+", " ", bare)
    bare = re.sub(r" ?,(?: ?,)+", ",", bare)
    return bare.strip().strip(",").strip(), asks


def _ask(text: str) -> AdapterAsk:
    name, *weights = (part.strip() for part in text.split(":"))
    if not name:
        raise InvalidRequest("lora", "lora.no_name", value=text)
    if not weights:
        return AdapterAsk(name, None)
    if not all(NUMBER.fullmatch(weight) for weight in weights):
        raise InvalidRequest("lora", "lora.bad_weight", name=name, value=":".join(weights))
    if len({float(weight) for weight in weights}) > 1:
        # A1111's <lora:name:te:unet>
        raise InvalidRequest("lora", "lora.two_weights", name=name, value=":".join(weights))
    return AdapterAsk(name, float(weights[0]))


def parse_size(text: str, native: tuple[int, int]) -> tuple[int, int]:
    """`832x1216`, or a ratio such as `16:9` at the pixel count of `native` → (width, height).

    Only the form is checked here; the model's bounds are checked by `compose`.
    """
    if match := DIMENSIONS.fullmatch(text.strip()):
        return int(match[1]), int(match[2])
    if match := RATIO.fullmatch(text.strip()):
        across, down = int(match[1]), int(match[2])
        if across and down:
            return at_ratio(across, down, native)
    raise InvalidRequest("size", "size.form", value=text)


def at_ratio(across: int, down: int, native: tuple[int, int]) -> tuple[int, int]:
    """The size of that shape whose pixel count is nearest to `native`'s."""
    pixels = native[0] * native[1]
    step = BUCKET_STEP if min(native) >= 8 * BUCKET_STEP else PIXEL_STEP
    width = math.sqrt(pixels * across / down)
    return max(step, round(width / step) * step), max(step, round(pixels / width / step) * step)
