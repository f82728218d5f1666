"""Which base model an adapter was made for, judging by its tensors, else by its metadata.

Shapes outrank metadata, which anyone may edit.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from catalog.families import FAMILIES
from catalog.families.flux import FLUX, FLUX2_DEV, FLUX_OR_KLEIN, KLEIN, KLEIN_4B
from catalog.families.recognition import Shapes, UNet
from catalog.families.unet import SD2, SD2_CONTEXT
from catalog.weight_files import dit_adapters
from catalog.weight_files.dit_adapters import AURAFLOW, DIT

_FAMILIES: Final = tuple(family.recognition for family in FAMILIES.values())
_UNETS: Final = tuple(
    (family.architectures[0], recognition)
    for family in FAMILIES.values()
    if isinstance(recognition := family.recognition, UNet)
)

_STATED_MAX: Final = 200
_NOT_A_LETTER: Final = re.compile(r"[^a-z0-9]+")

INPUT_LAST: Final = ("lora_down", "lora_A", "hada_w1_b", "diff", "a2")
"""Suffixes of tensors whose second dimension is the input width of their module."""
OUTPUT_FIRST: Final = ("lora_up", "lora_B", "hada_w1_a", "diff")
"""Suffixes of those whose first dimension is its output width."""

_BASE_OF_CONTEXT: Final = {
    SD2_CONTEXT: SD2,
    1280: "SDXL refiner",
    **{family.context: name for name, family in _UNETS},
}
"""Width of the text embeddings that a cross-attention layer of the UNet reads."""

_KEYS_AND_VALUES: Final = ("to_k", "to_v", "to_k_lora", "to_v_lora")
_JOINT_KEYS: Final = "attn.add_k_proj"
_SD3_WIDTHS: Final = frozenset({1536, 2432})
"""Of its joint attention; FLUX.1's and Qwen-Image's, with the same names, are 3072 wide."""
_UNET_BLOCKS: Final = (
    *("down_blocks", "up_blocks", "mid_block"),
    *("input_blocks", "output_blocks", "middle_block"),
)
# Below, names are matched with `_` for every dot, each preceded by a line break.
_TRANSFORMERS: Final = (
    ("motion_modules_", "AnimateDiff"),
    ("joint_blocks_", "SD 3"),
    ("\ntransformer_", DIT),
)

# Matched against architecture names without spaces and dashes; the first that occurs wins.
_ARCHITECTURES: Final = (
    ("refiner", "SDXL refiner"),
    *(words for family in _FAMILIES for words in family.base_names.bases),
    ("stablediffusionv2", SD2),
    ("sdv2", SD2),
    ("sd2", SD2),
    ("stablediffusion3", "SD 3"),
    ("sd3", "SD 3"),
    ("flux2", FLUX2_DEV),
    ("flux", FLUX),
    ("hunyuan", "Hunyuan"),
    ("wan2", "Wan"),
    ("qwen", "Qwen-Image"),
    ("lumina", "Lumina"),
    ("pixart", "PixArt"),
    ("auraflow", AURAFLOW),
)
# The same for checkpoint names.
_CHECKPOINTS: Final = (
    *(words for family in _FAMILIES for words in family.base_names.checkpoints),
    ("flux1", FLUX),
)
# And as Civitai names them.
_IN_WORDS: Final = (
    ("ponyv7", AURAFLOW),
    *(words for family in _FAMILIES for words in family.base_names.offspring),
    *(("stablecascade", "Stable Cascade"), ("svd", "Stable Video Diffusion"), ("kolors", "Kolors")),
    *(("wanvideo", "Wan"), ("hidream", "HiDream"), ("ltxv", "LTX Video"), ("mochi", "Mochi")),
    *_ARCHITECTURES,
)
_UNET_BASES: Final = frozenset(_BASE_OF_CONTEXT.values())
_LIKE: Final = {
    **{base: others for family in _FAMILIES for base, others in family.base_names.alike},
}
"""What the tensors tell → what metadata may make of it."""
_PARENTS: Final = {
    base: family.architectures[0]
    for family in FAMILIES.values()
    for _, base in family.recognition.base_names.offspring
}
"""Model that was trained from another → that one, whose adapters look like its own."""


def refined(structure: str, metadata: Mapping[str, str]) -> str:
    """The base model, or "" if unknown.

    structure: the result of `of_tensors`. Metadata distinguishes models that look alike, and
    decides alone where the tensors do not tell.
    """
    keys = ("modelspec.architecture", "ss_base_model_version")
    stated = _first(_ARCHITECTURES, (_letters(metadata, key) for key in keys))
    checkpoint = _first(_CHECKPOINTS, [_letters(metadata, "ss_sd_model_name")])
    base = structure or stated or _PARENTS.get(checkpoint, checkpoint)
    if _PARENTS.get(checkpoint) == base:
        return checkpoint
    if told := _told_apart(base, stated):
        return told
    if base == DIT and stated not in _UNET_BASES:
        return stated or DIT
    return base


def in_words(base: str, said: str) -> str:
    """`base`, completed by a base model as Civitai and others name it: "SDXL 1.0", "Flux.1 D".

    What the file itself says outweighs it, except that it may tell apart what looks alike.
    """
    words = _NOT_A_LETTER.sub("", said[:_STATED_MAX].casefold())
    stated = _first(_IN_WORDS, [words])
    if told := _told_apart(base, stated):
        return told
    return stated if not base or _PARENTS.get(stated) == base else base


def _told_apart(base: str, stated: str) -> str:
    """What is stated, where it is one of those that the tensors cannot tell apart; else ""."""
    if base == FLUX_OR_KLEIN and stated == KLEIN:
        return KLEIN_4B  # the other one is wider
    return stated if stated in _LIKE.get(base, ()) else ""


def _letters(metadata: Mapping[str, str], key: str) -> str:
    return _NOT_A_LETTER.sub("", metadata.get(key, "")[-_STATED_MAX:].casefold())


def _first(table: Iterable[tuple[str, str]], texts: Iterable[str]) -> str:
    found = (base for text in texts for mark, base in table if mark in text)
    return next(found, "")


def tells(module: str) -> bool:
    """Whether the widths of a module of this name may tell the base."""
    if reads_text(module):
        return True
    return module.replace(".", "_").endswith(dit_adapters.TELLING)


def reads_text(module: str) -> bool:
    """Whether a module of this name reads the text embeddings, so its input tells the base."""
    if "attn2" in module:
        return module.endswith(_KEYS_AND_VALUES)
    return module.endswith(_JOINT_KEYS)


def of_tensors(shapes: Shapes, telling: Mapping[str, Shapes]) -> str:
    """The base model that the tensors imply, "" if they do not tell.

    telling: for each module that `tells`, its shapes by tensor suffix, as in INPUT_LAST.
    """
    foreign = False
    for module, parts in telling.items():
        if not reads_text(module):
            continue
        width = _width(parts, INPUT_LAST, 1, "b")
        if module.endswith(_JOINT_KEYS):
            if width in _SD3_WIDTHS:
                return "SD 3"
        elif width and any(block in module for block in _UNET_BLOCKS):
            if base := _BASE_OF_CONTEXT.get(width, ""):
                return base
            foreign = True
    names = "\n" + "\n".join(shapes).replace(".", "_")
    widths = {
        module.replace(".", "_"): (
            _width(parts, INPUT_LAST, 1, "b"),
            _width(parts, OUTPUT_FIRST, 0, "a"),
        )
        for module, parts in telling.items()
    }
    if base := dit_adapters.base_of(names, widths):
        return base
    for mark, base in _TRANSFORMERS:
        if mark in names:
            return base
    told = (family.adapter_base(names, foreign) for _, family in _UNETS)
    return next(filter(None, told), "")


def _width(parts: Shapes, ends: Sequence[str], axis: int, factor: str) -> int:
    """The width of the module of these tensors on that side of its matrix; 0 if they do not tell.

    ends: tensors that have it. factor: which one of a low-rank pair has it.
    """
    for part in ends:
        if len(shape := parts.get(part, ())) >= 2:
            return shape[axis]
    first = parts.get("lokr_w1") or parts.get(f"lokr_w1_{factor}") or ()
    second = parts.get("lokr_w2") or parts.get(f"lokr_w2_{factor}") or ()
    # The Kronecker product of a×b and c×d has a·c rows and b·d columns.
    return first[axis] * second[axis] if len(first) >= 2 and len(second) >= 2 else 0
