"""What trainers and their users wrote into the metadata of an adapter file.

All of it is untrusted text: bounded, cleaned, and ignored if malformed. Keys `ss_…` are
kohya's (sd-scripts, `train_network.py`; ai-toolkit writes some too), `modelspec.…` those of
Stability's model specification (github.com/Stability-AI/ModelSpec), which sd-scripts, OneTrainer
and SwarmUI follow.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic_core import from_json

from catalog.limits import NAME_MAX, TRIGGER_MAX, WEIGHT_MAX, WEIGHT_MIN
from catalog.lines import clean_line

WORDS_MAX: Final = 5
JSON_MAX: Final = 1024 * 1024
"""Characters of JSON inside the metadata; longer text is not parsed."""
COMMAS_MAX: Final = 100_000
"""The same for its values: parsing 300,000 empty lists would hold all other threads for 50 ms."""
_PHRASE_MAX: Final = 1000
# kohya titles an untitled file by its kind and the time: `LoRA@1699123456.78`.
_NO_TITLE: Final = re.compile(r"(LoRA|TextualInversion|Checkpoint)@[\d.]+")


def title(metadata: Mapping[str, str]) -> str:
    """The author's title, at most NAME_MAX characters; "" if there is none."""
    for key in ("modelspec.title", "ss_output_name"):
        text = clean_line(metadata.get(key, ""), NAME_MAX)
        if text and not _NO_TITLE.fullmatch(text):
            return text
    return ""


def output_name(metadata: Mapping[str, str]) -> str:
    """What the trainer called the file; prompts written for AUTOMATIC1111 may use it."""
    return clean_line(metadata.get("ss_output_name", ""), NAME_MAX)


def weight(metadata: Mapping[str, str]) -> float | None:
    """The weight that the author recommends, as SwarmUI stores it; no trainer writes one."""
    for key in ("modelspec.lora_default_weight", "lora_default_weight"):
        text = metadata.get(key, "")
        try:
            number = float(text) if len(text) <= 20 else math.nan
        except ValueError:
            continue
        if number and WEIGHT_MIN <= number <= WEIGHT_MAX:
            return number
    return None


def phrase(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """The trigger words that the author gave, at most WORDS_MAX."""
    return _words(metadata.get("modelspec.trigger_phrase", "")[:_PHRASE_MAX].split(","))


def frequent_tags(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Tags on at least 9 of 10 images of a training folder, the most frequent first.

    At most WORDS_MAX. `ss_tag_frequency` is {folder: {tag: images}}; the number of images in a
    folder is in `ss_dataset_dirs`, or else taken to be the count of its most frequent tag.
    """
    folders = _table(metadata.get("ss_dataset_dirs", ""))
    totals: dict[str, int] = {}
    for folder, tags in _table(metadata.get("ss_tag_frequency", "")).items():
        counts = {tag: n for tag, n in _dict(tags).items() if type(n) is int and n > 0}
        images = _dict(folders.get(folder)).get("img_count")
        if type(images) is not int or images <= 0:
            images = max(counts.values(), default=0)
        for tag, count in counts.items():
            if 10 * count >= 9 * images:
                totals[tag] = totals.get(tag, 0) + count
    # sorted() is stable: ties keep the captions' order, in which trainers put the trigger first.
    return _words(sorted(totals, key=totals.__getitem__, reverse=True))


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts as words for a prompt: cleaned, without duplicates (ignoring case) or long ones."""
    words: dict[str, str] = {}
    for text in texts:
        # A backtick would end the code span in which Discord shows the word.
        word = clean_line(text, TRIGGER_MAX + 1).replace("`", "'")
        if word and len(word) <= TRIGGER_MAX:
            words.setdefault(word.casefold(), word)
        if len(words) == WORDS_MAX:
            break
    return tuple(words.values())


def _table(text: str) -> dict[str, Any]:
    if len(text) > JSON_MAX or text.count(",") > COMMAS_MAX:
        return {}
    try:
        return _dict(from_json(text))
    except ValueError:
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
