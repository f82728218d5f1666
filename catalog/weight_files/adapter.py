"""Identify an adapter by the names and shapes of its tensors and by its metadata.

No tensor is read. Names of tensors are those that kohya's sd-scripts, LyCORIS, OneTrainer,
ai-toolkit and diffusers/peft write; shapes outrank metadata, which anyone may edit.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from catalog.families.recognition import Shapes
from catalog.lines import clean_line
from catalog.weight_files import algorithms, base_models, training
from catalog.weight_files.algorithms import (
    BOFT,
    DIAG_OFT,
    DORA,
    FULL,
    GLORA,
    IA3,
    LOCON,
    LOHA,
    LOKR,
    LORA,
    NORM,
    UNKNOWN,
)
from catalog.weight_files.base_models import INPUT_LAST, OUTPUT_FIRST
from catalog.weight_files.embedding import (
    EMBEDDING,
    bundled_tokens,
    is_bundled,
    is_embedding,
)
from catalog.weight_files.parts import model_kind
from catalog.weight_files.peft_config import OFT, Configs
from catalog.weight_files.tensor_names import split
from catalog.weight_files.unsupported import unsupported_kind

RANK_MAX: Final = 4096
_NAME_SHOWN: Final = 60

_ALGORITHM_OF_PART: Final = {
    **dict.fromkeys(("lora_down", "lora_up", "lora_A", "lora_B"), LORA),
    "lora_mid": LOCON,
    **dict.fromkeys(("dora_scale", "lora_magnitude_vector", "magnitude"), DORA),
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
    **dict.fromkeys(("boft_R", "boft_s"), BOFT),
    **dict.fromkeys(("on_input", "ia3_l"), IA3),
}
_WRAPPERS: Final = frozenset({"weight", "bias", "default", "*"})
"""Suffixes of names that carry no information: `default` is the adapter's name in peft."""

_NAMED_WEIGHTS: Final = frozenset({"lora_A", "lora_B", "lora_magnitude_vector"})
_NAMED: Final = frozenset(
    part
    for part in _ALGORITHM_OF_PART
    if part.startswith(("hada_", "lokr_", "boft_", "ia3_", "lora_magnitude"))
)
"""Tensors that peft gives the name of an adapter, behind which nothing follows."""

_RANK_FIRST: Final = frozenset({"lora_down", "lora_A", "hada_w1_b", "lokr_w1_b", "lokr_w2_b", "a2"})
_TUCKER: Final = frozenset({"lora_mid", "hada_t1", "lokr_t2"})
_OF_WIDTHS: Final = frozenset(
    {*INPUT_LAST, *OUTPUT_FIRST, *(f"lokr_{x}" for x in ("w1", "w1_a", "w1_b"))}
    | {"lokr_w2", "lokr_w2_a", "lokr_w2_b"}
)

_SHAPED: Final = _RANK_FIRST | _TUCKER | _OF_WIDTHS | {"oft_blocks"}


@dataclass(frozen=True, slots=True)
class AdapterFacts:
    """What an adapter file says about itself.

    algorithm: of SUPPORTED, several joined by " + "; of UNSUPPORTED; or UNKNOWN.
    base: "SDXL", a derivative of it, "SD 1.5", "FLUX.1" …; "" if unknown.
    certain: `base` follows from the tensors, not from metadata alone.
    rank, conv_rank: the most common of the linear layers and of the convolutions; None where the
        algorithm has none.
    phrase: trigger words that the author wrote into the file.
    tags: of nearly every training image, the most frequent first: likely trigger words.
    weight: that the author recommends. title: "" if there is none.
    bundled: tokens of the embeddings inside it, which work in a prompt together with the LoRA;
        NO_TOKEN for one without.
    other: what the file is if it is no adapter that can be read: "VAE", "SDXL checkpoint", "adapter
        with unknown tensors (…)".
    output_name: what the trainer called the file, "" if it does not say.
    """

    algorithm: str = UNKNOWN
    base: str = ""
    certain: bool = False
    rank: int | None = None
    conv_rank: int | None = None
    phrase: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    weight: float | None = None
    title: str = ""
    bundled: tuple[str, ...] = ()
    other: str = ""
    output_name: str = ""

    def called(self, word: str) -> "AdapterFacts":
        """The same with this word as the token of the embedding inside it that has none."""
        return replace(self, bundled=tuple(token or word for token in self.bundled))

    @property
    def candidates(self) -> tuple[str, ...]:
        """Words that may trigger it, the author's first; few enough to be displayed."""
        words: dict[str, str] = {}
        for word in (*self.bundled, *self.phrase, *self.tags):
            words.setdefault(word.casefold(), word)
        return tuple(words.values())[: training.WORDS_MAX]


def adapter_facts(
    shapes: Shapes, metadata: Mapping[str, str], configs: Configs = MappingProxyType({})
) -> AdapterFacts:
    """Identify an adapter file from its header. Never raises.

    shapes: of every tensor by name. metadata: as in the file, untrusted. configs: from
    `read_configs`.
    """
    found: set[str] = set()
    ranks: Counter[int] = Counter()
    conv_ranks: Counter[int] = Counter()
    telling: dict[str, dict[str, tuple[int, ...]]] = {}
    strange: list[str] = []
    bundle: list[str] = []
    dubious = False
    for name, shape in shapes.items():
        module, part, tells, readable = _place(name)
        if not readable:
            dubious = True
        if part == "alpha":
            continue
        if not part:
            (bundle if is_bundled(name) else strange).append(name)
            continue
        algorithm = _ALGORITHM_OF_PART[part]
        if part not in _SHAPED:
            found.add(algorithm)
            continue
        if part == "a2":
            # (rank, in); old versions of LyCORIS wrote (in, rank).
            shape = tuple(sorted(shape[:2]))
        found.add(BOFT if algorithm == DIAG_OFT and len(shape) == 4 else algorithm)
        if part in _RANK_FIRST and shape:
            spatial = len(shape) == 4 and shape[2:] != (1, 1)
            (conv_ranks if spatial else ranks)[shape[0]] += 1
        elif part in _TUCKER and shape:
            conv_ranks[shape[0]] += 1
        if tells:
            telling.setdefault(module, {})[part] = shape
    if any(config.method == OFT for config in configs.values()):
        found.add(DIAG_OFT)
    # Beside a LoRA, an embedding is inside it; alone, it says what the file is.
    kind = unsupported_kind(strange if found else (*strange, *bundle), configs)
    if not kind and not found and is_embedding(shapes):
        kind = EMBEDDING
    structure = base_models.of_tensors(shapes, telling)
    base = base_models.refined(structure, metadata)
    return AdapterFacts(
        algorithm=kind or _joined(found, convolutions=bool(conv_ranks)),
        base=base,
        certain=bool(structure),
        rank=_common(ranks) or (_stated_rank(metadata) if _has_rank(found) else None),
        conv_rank=_common(conv_ranks),
        phrase=training.phrase(metadata),
        tags=training.frequent_tags(metadata),
        weight=training.weight(metadata),
        title=training.title(metadata),
        bundled=bundled_tokens(shapes, base) if bundle and found else (),
        other=("" if found or kind == EMBEDDING else model_kind(shapes))
        or (_unknown_tensor(shapes, configs) if dubious and not kind else ""),
        output_name=training.output_name(metadata),
    )


def strays(shapes: Shapes, *, biases: bool) -> frozenset[str]:
    """The single numbers in an adapter file that are of none of its modules, such as `global_step`:
    what a trainer or another network left there, which changes nothing.

    biases: as in `split`.
    """
    unknown = [
        name
        for name, shape in shapes.items()
        if math.prod(shape) == 1 and split(name, biases=biases) is None and not is_bundled(name)
    ]
    if not unknown:
        return frozenset()
    places = (split(name, biases=biases) for name in shapes)
    modules = {where[0] for where in places if where}
    return frozenset(name for name in unknown if name.rpartition(".")[0] not in modules)


def _unknown_tensor(shapes: Shapes, configs: Configs) -> str:
    """What a file is that the engine refuses for the name of a tensor; "" if there is none."""
    biases = any(config.biases for config in configs.values())
    left_out = strays(shapes, biases=biases)
    for name in shapes:
        where = split(name, biases=biases)
        # A weight is one of (IA)³'s only if its axis is told.
        alone = where and where[1] == "weight" and f"{name[:-6]}on_input" not in shapes
        if (where is None or alone) and not is_bundled(name) and name not in left_out:
            return f"adapter with unknown tensors ({clean_line(name, _NAME_SHOWN)})"
    return ""


@lru_cache(maxsize=2**13)  # most files of a folder have the same names
def _place(name: str) -> tuple[str, str, bool, bool]:
    """A tensor's module and part, in the common form, whether its widths may tell the base, and
    whether the engine reads a tensor of this name in any file.

    The part is "" if it is unknown.
    """
    where = split(name)
    readable = where is not None and where[1] != "weight"
    module, _, part = name.removesuffix(".weight").rpartition(".")
    if part not in _ALGORITHM_OF_PART and part != "alpha":
        if part in _WRAPPERS:
            module, _, part = module.rpartition(".")
        if part not in _ALGORITHM_OF_PART:
            module, part = _unusual(module, part, named=name.endswith((".weight", ".bias")))
        if part not in _ALGORITHM_OF_PART:
            part = ""
    return module, part, part in _OF_WIDTHS and base_models.tells(module), readable


def _unusual(module: str, part: str, *, named: bool) -> tuple[str, str]:
    """Module and part, in the common form, of a tensor name with an unusual suffix.

    named: whether it ended in `.weight` or `.bias`, before which peft puts an adapter's name.
    """
    if part in {"down", "up"} and module.endswith(("lora", "lora_linear_layer")):
        return module, f"lora_{part}"  # diffusers before peft: `attn2.processor.to_k_lora.down`
    head, _, tail = module.rpartition(".")
    if part in _WRAPPERS or tail in _NAMED or (named and tail in _NAMED_WEIGHTS):
        return head, tail
    return module, part


def _joined(found: set[str], *, convolutions: bool) -> str:
    if LORA in found and (convolutions or LOCON in found):
        found = found - {LORA} | {LOCON}
    if {LORA, DORA} <= found:
        found = found - {LORA}
    return algorithms.joined(found)


def _common(ranks: Counter[int]) -> int | None:
    sound = ((rank, count) for rank, count in ranks.items() if 0 < rank <= RANK_MAX)
    return max(sound, key=lambda pair: pair[1], default=(None, 0))[0]


def _has_rank(found: set[str]) -> bool:
    return found <= {LORA, LOCON, DORA, LOHA}


def _stated_rank(metadata: Mapping[str, str]) -> int | None:
    text = metadata.get("ss_network_dim", "")
    rank = int(text) if text.isascii() and text.isdecimal() and len(text) <= 4 else 0
    return rank if 0 < rank <= RANK_MAX else None
