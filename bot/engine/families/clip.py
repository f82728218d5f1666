"""CLIP (arXiv 2103.00020) as a text encoder: module, files, tokenizer. Imports torch."""

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from diffusers.loaders.single_file_utils import convert_open_clip_checkpoint
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
)

from bot.engine.configurations import ABSENT, TRUTH, Field, Kind, either, known, one_of
from bot.engine.families.tokenizer_files import (
    CONFIG,
    SOME_TOKENS,
    SPECIAL,
    TEXT,
    TOKENS_BY_NUMBER,
    TOKENS_MAX,
    clean,
)
from bot.engine.subject import Subject


@dataclass(frozen=True, slots=True)
class TextEncoder:
    """One of a family.

    network: its folder in a diffusers pipeline. tokenizer: likewise, of its tokenizer.
    projected: whether it ends in a projection, which gives the pooled embedding.
    prefixes: what its names begin with in a single file: as Stability, ComfyUI, diffusers write
        them.
    underscored, dotted: what adapter files put before its paths with underscores and with dots.
    """

    network: str
    tokenizer: str
    projected: bool
    prefixes: tuple[str, ...]
    underscored: tuple[str, ...]
    dotted: tuple[str, ...]


def build(config: Mapping[str, Any], *, projected: bool = False) -> Any:
    """The encoder; within `building.without_weights`. config: of `configurations.CLIP_TEXT`.

    projected: see TextEncoder.
    """
    kind = CLIPTextModelWithProjection if projected else CLIPTextModel
    return kind(CLIPTextConfig.from_dict(dict(config)))


LARGE: Final = r"(?:.+\.)?layers\.\d+\..+"
"""What is in 8 bits of it where that is asked for; see `Family.formats`."""


def renamed(
    module: Any, stored: Mapping[str, torch.Tensor], parameters: Collection[str]
) -> dict[str, torch.Tensor]:
    """`stored`, in the names of transformers or of OpenCLIP, by the names in `module`.

    parameters: the names there.
    """
    own = {_unwrapped(name): tensor for name, tensor in stored.items()}
    if any(name.startswith("transformer.resblocks.") for name in own):
        projection = own.get(_PROJECTION)
        own = convert_open_clip_checkpoint(module, own, prefix="")
        if projection is not None:
            # Converters that come from transformers leave it as it is there, not transposed.
            own.setdefault(_PROJECTION, projection)
    # transformers 5 has the first encoder's layers at the top; the files still have text_model.
    top = not any(name.startswith(_INNER) for name in parameters)
    bare = {name.removeprefix(_INNER): tensor for name, tensor in own.items()}
    if top:
        return bare
    return {n if n == _PROJECTION else _INNER + n: tensor for n, tensor in bare.items()}


_PROJECTION: Final = "text_projection.weight"
_INNER: Final = "text_model."


def _unwrapped(name: str) -> str:
    """The name of a text encoder's parameter without the modules that programs put around it."""
    name = name.removeprefix("model.")
    inner = name.removeprefix("transformer.")
    return name if inner.startswith("resblocks.") else inner


def names(path: str, encoder: TextEncoder) -> Iterator[str]:
    """The names of the module at `path` in a text encoder."""
    # transformers 5 has the layers of a CLIPTextModel at the top, those of a
    # CLIPTextModelWithProjection under text_model. Files use either, depending on their trainer.
    bare = path.removeprefix("text_model.")
    full = bare if bare == "text_projection" else f"text_model.{bare}"
    for one in {full: 0, bare: 0}:
        yield from (_underscored(prefix, one) for prefix in encoder.underscored)
        yield from (f"{prefix}.{one}" for prefix in encoder.dotted)
        module, attention, projection = one.rpartition(".self_attn.")
        if attention:  # diffusers before 0.22: `self_attn.to_q_lora.down`
            yield f"{encoder.network}.{module}.self_attn.to_{projection.removesuffix('_proj')}"


def _underscored(prefix: str, path: str) -> str:
    return f"{prefix}_{path.replace('.', '_')}"


TOKENIZER: Final = Kind(
    ("CLIPTokenizer", "CLIPTokenizerFast"),
    {
        **SPECIAL,
        "additional_special_tokens": either(SOME_TOKENS, ABSENT),
        "added_tokens_decoder": TOKENS_BY_NUMBER,
        **dict.fromkeys(
            ("add_prefix_space", "do_lower_case", "clean_up_tokenization_spaces"), TRUTH
        ),
        "errors": one_of("replace", "ignore", "strict"),
        "model_max_length": Field("a number", lambda v: type(v) in {int, float}),
    },
)
_SPECIAL_TOKENS: Final = Kind((), {**SPECIAL, "additional_special_tokens": SOME_TOKENS})
_ADDED: Final = Kind(
    (),
    {
        "added_tokens": Field(
            f"the numbers of up to {TOKENS_MAX} tokens",
            lambda v: (
                isinstance(v, dict)
                and len(v) <= TOKENS_MAX
                and all(TEXT.fits(token) and type(n) is int and n >= 0 for token, n in v.items())
            ),
        )
    },
)
_DATA: Final = ("vocab.json", "merges.txt", "tokenizer.json")
_CONFIGS: Final = {CONFIG: TOKENIZER, "special_tokens_map.json": _SPECIAL_TOKENS}


def tokenizer(folder: Path, subject: Subject) -> Any:
    """The tokenizer in `folder`. Raises JobFailed, and OSError."""
    with _clean(folder, subject) as copied:
        return CLIPTokenizer.from_pretrained(copied, local_files_only=True)


@contextmanager
def _clean(folder: Path, subject: Subject) -> Iterator[Path]:
    """A folder that has, within the block, what the tokenizer in `folder` is made of.

    Raises JobFailed, and OSError.
    """
    with clean(folder, _DATA, _CONFIGS, subject, needed=False) as target:
        added = folder / "added_tokens.json"
        if added.is_file():
            numbers = {"added_tokens": json.loads(added.read_text(encoding="utf-8"))}
            allowed = known(folder.name, numbers, _ADDED, subject)
            (target / added.name).write_text(json.dumps(allowed["added_tokens"]), encoding="utf-8")
        yield target
