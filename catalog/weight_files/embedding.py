"""Identify an embedding (textual inversion) by the names and shapes of its tensors.

No tensor is read. An embedding has learned vectors that stand in a prompt like words: rows as wide
as a text encoder's token embeddings, for SDXL one set for each of its two encoders:

    clip_l, clip_g                     kohya's sd-scripts, OneTrainer, ComfyUI, AUTOMATIC1111
    text_encoders_0, text_encoders_1   diffusers' training scripts, and the like
    emb_params, string_to_param.*      for one text encoder: SD 1.5 and 2
    <token>                            the same, by diffusers; the name is the word to type. For
                                       SDXL its script writes two such files

In a LoRA, `bundle_emb.TOKEN.` precedes these names (LyCORIS, OneTrainer), or nothing (ai-toolkit):
then the embedding has no token of its own.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from catalog.families import FAMILIES
from catalog.families.flux import FLUX
from catalog.families.recognition import Shapes, UNet
from catalog.families.unet import FIRST, SECOND
from catalog.limits import TRIGGER_MAX
from catalog.lines import clean_line
from catalog.weight_files import training
from catalog.weight_files.header import Header

EMBEDDING: Final = "textual inversion"
BUNDLE: Final = "bundle_emb."
"""What the names of embeddings inside a LoRA begin with, where they have a token."""
NO_TOKEN: Final = ""
"""Stands for the token of the one that has none."""
VECTORS_MAX: Final = 75
"""As many tokens as CLIP reads at once; no trainer makes more."""

_PAIRS: Final = (
    ("clip_l", "clip_g"),
    ("text_encoders_0", "text_encoders_1"),
    ("text_encoder_0", "text_encoder_1"),
    ("text_encoder", "text_encoder_2"),
    ("text_encoder_1", "text_encoder_2"),
)
_SINGLE: Final = re.compile(r"emb_params|string_to_param(?:\..+)?")
_OUTPUT: Final = "_out"
"""OneTrainer's output embeddings, which replace what an encoder says instead of what it reads."""
_T5: Final = re.compile(r"t5(?:xxl|_xxl)?(?:_out)?")
_FIRSTS: Final = frozenset(pair[0] for pair in _PAIRS)
_NAMED: Final = frozenset({name for pair in _PAIRS for name in pair})
_OF_MODULE: Final = re.compile(r"lora_|\.(?:weight|bias|alpha|diff_?b?|dora_scale|[wb]_norm)$")
_BASES: Final = {
    (1024,): "SD 2",
    **{
        recognition.embeddings: family.architectures[0]
        for family in FAMILIES.values()
        if isinstance(recognition := family.recognition, UNet)
    },
}
"""Widths of the token embeddings of a model's text encoders → the model. Those of CLIP ViT-L,
OpenCLIP ViT-H and OpenCLIP ViT-bigG are 768, 1024 and 1280 wide."""
_WIDTHS: Final = frozenset(width for widths in _BASES for width in widths)
_SECONDS: Final = frozenset(widths[1] for widths in _BASES if len(widths) > 1)
_FLOATS: Final = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})


@dataclass(frozen=True, slots=True)
class EmbeddingFacts:
    """What an embedding says about itself.

    parts: text encoder, FIRST or SECOND → the name of its tensor.
    vectors: how many tokens it takes in a prompt.
    base: "SDXL", "SD 1.5", "SD 2", "SD 3", "FLUX.1"; "" if unknown.
    flaw: what it is instead of an embedding that can be used, such as "half an embedding"; "" if
        it can be.
    unused: names of tensors that have no use here.
    token: the word that its author chose, "" if the file does not say. title: likewise.
    """

    parts: Mapping[str, str] = field(default_factory=dict)
    vectors: int = 0
    base: str = ""
    flaw: str = ""
    unused: tuple[str, ...] = ()
    token: str = ""
    title: str = ""


def embedding_facts(header: Header, *, surely: bool = False) -> EmbeddingFacts | None:
    """Identify an embedding file from its header; None for any other file. Never raises.

    surely: it lies where only embeddings belong, so a tensor of any name and width may be one.
    """
    bare = _bare(header.shapes, surely=surely)
    if not bare and not _has_known_names(header.shapes):
        return None
    facts = _judged(header.shapes, header.dtypes, bare)
    only = clean_line(next(iter(header.shapes)), TRIGGER_MAX) if len(bare) == 1 else ""
    return replace(facts, token=only, title=training.title(header.metadata))


def paired_facts(first: Header, second: Header) -> EmbeddingFacts | None:
    """Identify an embedding in two files, one for each text encoder, with the token as its name.

    None if they do not belong together: other names, or none is wider than the other.
    """
    if len(first.shapes) != 1 or first.shapes.keys() != second.shapes.keys():
        return None
    (token,) = first.shapes
    shapes = {"clip_l": first.shapes[token], "clip_g": second.shapes[token]}
    if not all(shapes.values()) or shapes["clip_l"][-1] >= shapes["clip_g"][-1]:
        return None
    dtypes = {"clip_l": first.dtypes[token], "clip_g": second.dtypes[token]}
    facts = _judged(shapes, dtypes, ())
    return replace(facts, parts={FIRST: token, SECOND: token}, token=clean_line(token, TRIGGER_MAX))


def is_bundled(name: str) -> bool:
    """Whether a tensor of a LoRA belongs to an embedding inside it."""
    return name.startswith(BUNDLE) or _is_known(name)


def bundled_embeddings(header: Header) -> dict[str, EmbeddingFacts]:
    """The embeddings inside a LoRA, by token; `parts` and `unused` have the full names."""
    found = {}
    for token, names in _by_token(header.shapes).items():
        shapes = {part: header.shapes[name] for part, name in names.items()}
        dtypes = {part: header.dtypes[name] for part, name in names.items()}
        facts = _judged(shapes, dtypes, ())
        found[token] = replace(
            facts,
            parts={role: names[part] for role, part in facts.parts.items()},
            unused=tuple(names[part] for part in facts.unused),
            token=token,
        )
    return found


def is_embedding(shapes: Shapes) -> bool:
    """Whether `embedding_facts` takes a file for an embedding, wherever it lies."""
    return bool(_bare(shapes, surely=False)) or _has_known_names(shapes)


def bundled_tokens(shapes: Shapes, base: str) -> tuple[str, ...]:
    """The tokens of the embeddings inside a LoRA that can be used, by the names of its tensors.

    base: what the LoRA is for; "" if that is unknown.
    """
    one = any(
        base in family.adapter_bases and len(family.text_encoders) == 1
        for family in FAMILIES.values()
    )
    return tuple(
        token
        for token, names in _by_token(shapes).items()
        if any({*pair} <= names.keys() for pair in _PAIRS)
        or (one and _only({part: shapes[name] for part, name in names.items()}))
    )


def _by_token(shapes: Shapes) -> dict[str, dict[str, str]]:
    """The tensors of embeddings inside a LoRA: token → part → name."""
    tensors: dict[str, dict[str, str]] = {}
    for name in shapes:
        if name.startswith(BUNDLE):
            token, part = _split(name.removeprefix(BUNDLE))
            tensors.setdefault(token, {})[part] = name
        elif _is_known(name):
            tensors.setdefault(NO_TOKEN, {})[name] = name
    return tensors


def _split(name: str) -> tuple[str, str]:
    """Token and part of a name after BUNDLE; a token may have dots."""
    token, _, part = name.rpartition(".")
    head, dot, tail = token.rpartition(".")
    if dot and tail == "string_to_param":
        return head, f"{tail}.{part}"
    return token, part


def _has_known_names(shapes: Shapes) -> bool:
    """Whether the file has an embedding's tensors, and else only numbers such as `step`."""
    others = [shape for name, shape in shapes.items() if not _is_known(name)]
    return len(others) < len(shapes) and all(math.prod(shape) == 1 for shape in others)


def _is_known(name: str) -> bool:
    plain = name.removesuffix(_OUTPUT)
    return plain in _NAMED or bool(_SINGLE.fullmatch(name) or _T5.fullmatch(name))


def _bare(shapes: Shapes, *, surely: bool) -> tuple[str, ...]:
    """The names of one or two tensors, sorted by width, if they are tokens chosen by the author."""
    names = [*shapes]
    if len(names) > 2 or any(_is_known(name) or _OF_MODULE.search(name) for name in names):
        return ()
    for shape in shapes.values():
        if len(shape) not in (1, 2) or not (surely or shape[-1] in _WIDTHS):
            return ()
        if not surely and len(shape) == 2 and shape[0] > VECTORS_MAX:
            return ()
    return tuple(sorted(names, key=lambda name: shapes[name][-1]))


def _judged(shapes: Shapes, dtypes: Mapping[str, str], bare: tuple[str, ...]) -> EmbeddingFacts:
    pair = next((pair for pair in _PAIRS if {*pair} <= shapes.keys()), None)
    if pair is None and len(bare) == 2 and shapes[bare[0]][-1] < shapes[bare[1]][-1]:
        pair = (bare[0], bare[1])
    others = tuple(name for name in shapes if pair is None or name not in pair)
    if pair is None:
        if (only := _only(shapes)) is None:
            return EmbeddingFacts(
                base=_base_of_one(shapes), flaw=_flaw_of_one(shapes), unused=others
            )
        tensors: tuple[str, ...] = (only,)
        others = tuple(name for name in others if name != only)
    else:
        tensors = pair
    made = [shapes[name] for name in tensors]
    parts = dict(zip((FIRST, SECOND), tensors, strict=False))
    rows = [shape[0] if len(shape) == 2 else 1 for shape in made]
    widths = tuple(shape[-1] if shape else 0 for shape in made)
    base = _BASES.get(widths, "")
    if pair is None:
        base = _base_of_one(shapes)
    elif any(map(_T5.fullmatch, others)):
        base = "SD 3"
    flaw = ""
    axes = max(map(len, made))
    if axes > 2:
        flaw = f"an embedding of {axes}-dimensional tensors"
    elif 0 in (*rows, *widths):
        flaw = "an embedding without vectors"
    elif len({*rows}) > 1:
        flaw = f"an embedding with {rows[0]} and {rows[1]} vectors for the two text encoders"
    elif rows[0] > VECTORS_MAX:
        flaw = f"an embedding with {rows[0]} vectors, more than {VECTORS_MAX}"
    elif any(dtypes[name] not in _FLOATS for name in tensors):
        flaw = f"an embedding of {', '.join(sorted({dtypes[name] for name in tensors}))} numbers"
    return EmbeddingFacts(parts, rows[0], base, flaw, others)


def _only(shapes: Shapes) -> str | None:
    """The tensor for a model's only text encoder; None if these are for something else."""
    names = [name for name, shape in shapes.items() if math.prod(shape) > 1 or _is_known(name)]
    if len(names) != 1 or names[0].endswith(_OUTPUT) or _T5.fullmatch(names[0]):
        return None
    (name,) = names
    width = shapes[name][-1] if shapes[name] else 0
    second = name in _NAMED and name not in _FIRSTS
    return None if second or width in _SECONDS else name


def _base_of_one(shapes: Shapes) -> str:
    """The base of an embedding that has not got vectors for both of SDXL's encoders."""
    if any(map(_T5.fullmatch, shapes)):
        return FLUX
    if any(name.endswith(_OUTPUT) for name in shapes):
        return ""
    return next((_BASES.get(shape[-1:], "") for shape in shapes.values() if shape), "")


def _flaw_of_one(shapes: Shapes) -> str:
    if all(name.endswith(_OUTPUT) for name in shapes):
        return "an output embedding of OneTrainer"
    return "half an embedding: one for the second of two text encoders"
