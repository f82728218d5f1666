"""What trainers and their users wrote into the metadata of an adapter file.

All of it is text from anywhere: bounded, cleaned, and absent when it is malformed. Keys `ss_…` are
kohya's (sd-scripts, `train_network.py`; ai-toolkit writes some too), `modelspec.…` those of
Stability's model specification (github.com/Stability-AI/ModelSpec), which sd-scripts, OneTrainer
and SwarmUI follow.
"""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydantic_core import from_json

from catalog.schema import NAME_MAX, TRIGGER_MAX, WEIGHT_MAX, WEIGHT_MIN, clean_line

WORDS_MAX: Final = 5
JSON_MAX: Final = 1024 * 1024
"""Characters of JSON inside the metadata; a longer one is not read."""
OFFSPRING: Final = ("Pony", "Illustrious", "NoobAI")
"""Models trained so far away from SDXL that their adapters go best with them."""
SD1_OR_2: Final = "SD 1.5/2"
"""Their blocks are the same; only what reads the text differs."""
DIT: Final = "DiT"

_STATED_MAX: Final = 200
_PHRASE_MAX: Final = 1000
_NOT_A_LETTER: Final = re.compile(r"[^a-z0-9]+")
# kohya names a file that got no title by what it is and when: `LoRA@1699123456.78`.
_NO_TITLE: Final = re.compile(r"(LoRA|TextualInversion|Checkpoint)@[\d.]+")

# Compared with names of architectures without blanks and dashes, the first that is in one counts.
_ARCHITECTURES: Final = (
    ("refiner", "SDXL refiner"),
    ("stablediffusionxl", "SDXL"),
    ("sdxl", "SDXL"),
    ("stablediffusionv1", "SD 1.5"),
    ("sdv1", "SD 1.5"),
    ("sd1", "SD 1.5"),
    ("stablediffusionv2", "SD 2"),
    ("sdv2", "SD 2"),
    ("sd2", "SD 2"),
    ("stablediffusion3", "SD 3"),
    ("sd3", "SD 3"),
    ("chroma", "Chroma"),
    ("flux", "Flux"),
    ("hunyuan", "Hunyuan"),
    ("wan2", "Wan"),
    ("qwen", "Qwen-Image"),
    ("lumina", "Lumina"),
    ("zimage", "Z-Image"),
    ("pixart", "PixArt"),
    ("auraflow", "AuraFlow"),
)
# The same for names of checkpoints; the numbers are Civitai's, whose trainer writes nothing else.
_CHECKPOINTS: Final = (
    ("noob", "NoobAI"),
    ("illustrious", "Illustrious"),
    ("889818safetensors", "Illustrious"),
    ("pony", "Pony"),
    ("290640safetensors", "Pony"),
    ("sdxl", "SDXL"),
    ("v15pruned", "SD 1.5"),
    ("flux1", "Flux"),
)
_UNET_BASES: Final = frozenset({"SD 1.5", "SD 2", "SDXL", "SDXL refiner"})
# Their blocks carry the same names as Flux's.
_LIKE_FLUX: Final = frozenset({"Chroma", "Hunyuan"})


def base_of(structure: str, metadata: Mapping[str, str]) -> str:
    """The base model. structure: what the tensors gave away, or "": then metadata tells."""
    keys = ("modelspec.architecture", "ss_base_model_version")
    stated = _first(_ARCHITECTURES, (_letters(metadata, key) for key in keys))
    checkpoint = _first(_CHECKPOINTS, [_letters(metadata, "ss_sd_model_name")])
    base = structure or stated or ("SDXL" if checkpoint in OFFSPRING else checkpoint)
    if base == "SDXL" and checkpoint in OFFSPRING:
        return checkpoint
    if base == SD1_OR_2 and stated in {"SD 1.5", "SD 2"}:
        return stated
    if base == "Flux" and stated in _LIKE_FLUX:
        return stated
    if base == DIT and stated not in _UNET_BASES:
        return stated or DIT
    return base


def _letters(metadata: Mapping[str, str], key: str) -> str:
    return _NOT_A_LETTER.sub("", metadata.get(key, "")[-_STATED_MAX:].casefold())


def _first(table: Iterable[tuple[str, str]], texts: Iterable[str]) -> str:
    found = (base for text in texts for mark, base in table if mark in text)
    return next(found, "")


def title(metadata: Mapping[str, str]) -> str:
    """What the author calls it, at most NAME_MAX characters; "" when nobody said."""
    for key in ("modelspec.title", "ss_output_name"):
        text = clean_line(metadata.get(key, ""), NAME_MAX)
        if text and not _NO_TITLE.fullmatch(text):
            return text
    return ""


def weight(metadata: Mapping[str, str]) -> float | None:
    """The weight that the author recommends, as SwarmUI keeps it; no trainer writes one."""
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
    """The trigger words that the author wrote down, at most WORDS_MAX."""
    return _words(metadata.get("modelspec.trigger_phrase", "")[:_PHRASE_MAX].split(","))


def frequent_tags(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Tags on at least 9 of 10 pictures of a training folder, the most frequent first.

    At most WORDS_MAX. `ss_tag_frequency` is {folder: {tag: pictures}}; how many pictures a folder
    has is in `ss_dataset_dirs`, and without it its most frequent tag stands for it.
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
    # sorted() keeps equals in the order of the captions, where trainers put the trigger first.
    return _words(sorted(totals, key=totals.__getitem__, reverse=True))


def _words(texts: Iterable[str]) -> tuple[str, ...]:
    """The texts as words for a prompt: cleaned, each once in any case, none that is too long."""
    words: dict[str, str] = {}
    for text in texts:
        # A backtick would end the code in which Discord shows the word.
        word = clean_line(text, TRIGGER_MAX + 1).replace("`", "'")
        if word and len(word) <= TRIGGER_MAX:
            words.setdefault(word.casefold(), word)
        if len(words) == WORDS_MAX:
            break
    return tuple(words.values())


def _table(text: str) -> dict[str, Any]:
    if len(text) > JSON_MAX:
        return {}
    try:
        return _dict(from_json(text))
    except ValueError:
        return {}


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
