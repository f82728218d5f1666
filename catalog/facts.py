"""What an adapter is, told from the names and shapes of its tensors and from its metadata.

No tensor is read. Names of tensors are those that kohya's sd-scripts, LyCORIS, OneTrainer,
ai-toolkit and diffusers/peft write; shapes outrank metadata, which anybody may edit.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from catalog import training
from catalog.foreign import FOREIGN, foreign

Shapes = Mapping[str, tuple[int, ...]]

LORA, LOCON, DORA, LOHA, LOKR = "LoRA", "LoCon", "DoRA", "LoHa", "LoKr"
FULL, NORM, GLORA, DIAG_OFT, BOFT, IA3 = "full", "norm", "GLoRA", "Diag-OFT", "BOFT", "(IA)³"
UNKNOWN: Final = "unknown"
POSSIBLE: Final = (LORA, LOCON, DORA, LOHA, LOKR, FULL, NORM, GLORA, DIAG_OFT, BOFT, IA3)
IMPOSSIBLE: Final = FOREIGN
SDXL_CLASS: Final = ("SDXL", *training.OFFSPRING)
"""Bases whose adapters fit an SDXL UNet; every model of the catalog has one."""

RANK_MAX: Final = 4096

_FAMILY_OF_PART: Final = {
    **dict.fromkeys(("lora_down", "lora_up", "lora_A", "lora_B"), LORA),
    "lora_mid": LOCON,
    **dict.fromkeys(("dora_scale", "lora_magnitude_vector"), DORA),
    **dict.fromkeys(
        ("hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b", "hada_t1", "hada_t2"), LOHA
    ),
    **dict.fromkeys(
        ("lokr_w1", "lokr_w1_a", "lokr_w1_b", "lokr_w2", "lokr_w2_a", "lokr_w2_b", "lokr_t2"), LOKR
    ),
    **dict.fromkeys(("diff", "diff_b"), FULL),
    **dict.fromkeys(("w_norm", "b_norm"), NORM),
    **dict.fromkeys(("a1", "a2", "b1", "b2"), GLORA),
    "oft_blocks": DIAG_OFT,
    "on_input": IA3,
}
_WRAPPERS: Final = frozenset({"weight", "bias", "default", "*"})
"""Ends of names that say nothing: `default` is the adapter's name in peft."""

_RANK_FIRST: Final = frozenset({"lora_down", "lora_A", "hada_w1_b", "lokr_w1_b", "lokr_w2_b", "a2"})
_TUCKER: Final = frozenset({"lora_mid", "hada_t1", "lokr_t2"})
_INPUT_LAST: Final = ("lora_down", "lora_A", "hada_w1_b", "diff", "a2")

_OF_INPUT: Final = frozenset({*_INPUT_LAST, "lokr_w1", "lokr_w1_b", "lokr_w2", "lokr_w2_b"})

_SHAPED: Final = _RANK_FIRST | _TUCKER | _OF_INPUT | {"oft_blocks"}
_KEYS_AND_VALUES: Final = ("to_k", "to_v", "to_k_lora", "to_v_lora")

_BASE_OF_CONTEXT: Final = {768: "SD 1.5", 1024: "SD 2", 1280: "SDXL refiner", 2048: "SDXL"}
"""Width of the text embeddings that a cross-attention layer of the UNet reads."""

_UNET_BLOCKS: Final = (
    *("down_blocks", "up_blocks", "mid_block"),
    *("input_blocks", "output_blocks", "middle_block"),
)
# Below, names are compared with `_` for every dot, each after a line break.
_TRANSFORMERS: Final = (
    ("motion_modules_", "AnimateDiff"),
    ("joint_blocks_", "SD 3"),
    ("double_blocks_", "Flux"),
    ("_single_blocks_", "Flux"),
    ("single_transformer_blocks_", "Flux"),
    ("\ntransformer_", training.DIT),
)
_OF_SD1: Final = ("down_blocks_0_attentions_", "input_blocks_1_1_", "down_blocks_3_")
_OF_SDXL: Final = (
    *("_transformer_blocks_1_", "add_embedding_", "label_emb_"),
    *("\nlora_te2_", "\ntext_encoder_2_"),
)


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What one adapter file says of itself.

    family: of POSSIBLE or IMPOSSIBLE, several joined by " + ", or UNKNOWN.
    base: "SDXL", an offspring of it, "SD 1.5", "Flux" …; "" when nothing tells.
    certain: `base` follows from the tensors, not from metadata alone.
    rank, conv_rank: the most common of the linear layers and of the convolutions; None where the
        family has none.
    phrase: trigger words that the author wrote into the file.
    tags: of nearly every training picture, the most frequent first: likely trigger words.
    weight: that the author recommends. title: "" when there is none.
    """

    family: str = UNKNOWN
    base: str = ""
    certain: bool = False
    rank: int | None = None
    conv_rank: int | None = None
    phrase: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    weight: float | None = None
    title: str = ""

    @property
    def candidates(self) -> tuple[str, ...]:
        """Words that may trigger it, those of the author first; few enough to be shown."""
        words: dict[str, str] = {}
        for word in (*self.phrase, *self.tags):
            words.setdefault(word.casefold(), word)
        return tuple(words.values())[: training.WORDS_MAX]


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why an adapter fits none of the models, or not the one that is asked for.

    found: its base, its family, or the keys of the models that it is for, as `kind` says.
    """

    kind: Literal["base", "family", "models"]
    found: str

    @property
    def allowed(self) -> str:
        if self.kind == "models":
            return self.found
        return ", ".join(SDXL_CLASS if self.kind == "base" else POSSIBLE)

    def __str__(self) -> str:
        if self.kind == "models":
            return f"only for {self.found}"
        if self.kind == "base":
            return f"made for {self.found}, which fits no model here"
        return f"of the kind {self.found}, which cannot be applied"


def misfit(facts: AdapterFacts, *, vouched: bool) -> Misfit | None:
    """Why the adapter fits none of our models; None when it may.

    vouched: the owner named models that it fits, which outweighs metadata but not shapes.
    """
    if facts.family in IMPOSSIBLE:
        return Misfit("family", facts.family)
    if facts.base and facts.base not in SDXL_CLASS and (facts.certain or not vouched):
        return Misfit("base", facts.base)
    return None


def adapter_facts(shapes: Shapes, metadata: Mapping[str, str]) -> AdapterFacts:
    """Tell what an adapter file is from its header. Never raises.

    shapes: of every tensor by name, () where malformed. metadata: as the file has it, untrusted.
    """
    families: dict[str, None] = {}
    ranks: Counter[int] = Counter()
    conv_ranks: Counter[int] = Counter()
    cross: dict[str, dict[str, tuple[int, ...]]] = {}
    strange: list[str] = []
    for name in shapes:
        module, _, part = name.removesuffix(".weight").rpartition(".")
        family = _FAMILY_OF_PART.get(part)
        if family is None:
            if part == "alpha":
                continue
            if part in _WRAPPERS:
                module, _, part = module.rpartition(".")
            if part not in _FAMILY_OF_PART:
                module, part = _unusual(module, part)
            if part not in _FAMILY_OF_PART:
                strange.append(name)
                continue
            family = _FAMILY_OF_PART[part]
        if part not in _SHAPED:
            families[family] = None
            continue
        shape = shapes[name]
        if part == "a2":
            # (rank, in); old versions of LyCORIS wrote (in, rank).
            shape = tuple(sorted(shape[:2]))
        families[BOFT if family == DIAG_OFT and len(shape) == 4 else family] = None
        if part in _RANK_FIRST and shape:
            spatial = len(shape) == 4 and shape[2:] != (1, 1)
            (conv_ranks if spatial else ranks)[shape[0]] += 1
        elif part in _TUCKER and shape:
            conv_ranks[shape[0]] += 1
        if part in _OF_INPUT and "attn2" in module and module.endswith(_KEYS_AND_VALUES):
            cross.setdefault(module, {})[part] = shape
    structure = _structure(shapes, cross)
    return AdapterFacts(
        family=foreign(strange) or _joined(families, convolutions=bool(conv_ranks)),
        base=training.base_of(structure, metadata),
        certain=bool(structure),
        rank=_common(ranks) or (_stated_rank(metadata) if _has_rank(families) else None),
        conv_rank=_common(conv_ranks),
        phrase=training.phrase(metadata),
        tags=training.frequent_tags(metadata),
        weight=training.weight(metadata),
        title=training.title(metadata),
    )


def _unusual(module: str, part: str) -> tuple[str, str]:
    """Module and part, both as elsewhere, of a name whose end is not of the common forms."""
    if part in {"down", "up"} and module.endswith(("lora", "lora_linear_layer")):
        return module, f"lora_{part}"  # diffusers before peft: `attn2.processor.to_k_lora.down`
    if part in _WRAPPERS:
        head, _, tail = module.rpartition(".")
        return head, tail
    return module, part


def _joined(families: Mapping[str, None], *, convolutions: bool) -> str:
    found = set(families)
    if LORA in found and (convolutions or LOCON in found):
        found = found - {LORA} | {LOCON}
    if LORA in found and DORA in found:
        found.discard(LORA)
    ordered = [family for family in POSSIBLE if family in found]
    return " + ".join(ordered) or UNKNOWN


def _common(ranks: Counter[int]) -> int | None:
    sound = ((rank, count) for rank, count in ranks.items() if 0 < rank <= RANK_MAX)
    return max(sound, key=lambda pair: pair[1], default=(None, 0))[0]


def _has_rank(families: Iterable[str]) -> bool:
    return set(families) <= {LORA, LOCON, DORA, LOHA}


def _stated_rank(metadata: Mapping[str, str]) -> int | None:
    text = metadata.get("ss_network_dim", "")
    rank = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    return rank if 0 < rank <= RANK_MAX else None


def _structure(shapes: Shapes, cross: Mapping[str, Mapping[str, tuple[int, ...]]]) -> str:
    """The base model that the tensors give away, "" when they do not."""
    foreign = False
    for module, parts in cross.items():
        width = _input_width(parts)
        if width and any(block in module for block in _UNET_BLOCKS):
            if base := _BASE_OF_CONTEXT.get(width, ""):
                return base
            foreign = True
    names = "\n" + "\n".join(shapes).replace(".", "_")
    for mark, base in _TRANSFORMERS:
        if mark in names:
            return base
    if "down_blocks_" in names or "input_blocks_" in names:
        # With text embeddings of another width it is none of theirs, wherever its blocks are.
        if not foreign and any(mark in names for mark in _OF_SD1):
            return training.SD1_OR_2
        return "SDXL" if any(mark in names for mark in _OF_SDXL) else ""
    return "SDXL" if any(mark in names for mark in _OF_SDXL[1:]) else ""


def _input_width(parts: Mapping[str, tuple[int, ...]]) -> int:
    """How many features the module of these tensors takes; 0 when they do not tell."""
    for part in _INPUT_LAST:
        if len(shape := parts.get(part, ())) >= 2:
            return shape[1]
    first = parts.get("lokr_w1") or parts.get("lokr_w1_b") or ()
    second = parts.get("lokr_w2") or parts.get("lokr_w2_b") or ()
    # The Kronecker product of a×b and c×d takes b·d features; a low-rank factor ends in them too.
    return first[1] * second[1] if len(first) >= 2 and len(second) >= 2 else 0
