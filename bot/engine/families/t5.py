"""T5 (arXiv 1910.10683) as a text encoder: its module, its files, its tokenizer. Imports torch.

Families have the encoder of T5 v1.1 XXL, 24 layers of 4.8 billion parameters.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from transformers import T5Config, T5EncoderModel, T5Tokenizer

from bot.engine.configurations import ABSENT, TRUTH, Kind, either, known, number, one_of, whole
from bot.engine.families import sentencepiece, tokenizer_files
from bot.engine.subject import Subject
from bot.errors import JobFailed
from catalog.selecting import PIECES

_KIND: Final = Kind(
    ("T5EncoderModel", "T5ForConditionalGeneration", "T5Model", "T5WithLMHeadModel"),
    {
        "model_type": one_of("t5"),
        "vocab_size": whole(1, 1_000_000),
        "d_model": whole(1, 16_384),
        "d_kv": whole(1, 1_024),
        "d_ff": whole(1, 65_536),
        "num_layers": whole(1, 128),
        "num_heads": whole(1, 256),
        "relative_attention_num_buckets": whole(4, 1_024),
        "relative_attention_max_distance": whole(8, 65_536),
        "dropout_rate": number(0, 1),
        "layer_norm_epsilon": number(0, 1),
        "initializer_factor": number(0, 1_000),
        # T5 before v1.1 has other feed-forward layers.
        "feed_forward_proj": one_of("gated-gelu"),
        "dense_act_fn": one_of("gelu_new"),
        "is_gated_act": TRUTH,
    },
)
_FOLLOWING: Final = ("dense_act_fn", "is_gated_act")
"""What follows from `feed_forward_proj`."""


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of an untrusted configuration that the encoder is built from. Raises JobFailed."""
    allowed = known(network, config, _KIND, subject)
    return {field: value for field, value in allowed.items() if field not in _FOLLOWING}


def build(config: Mapping[str, Any]) -> Any:
    """The encoder; within `building.without_weights`.

    config: from `checked`.
    """
    encoder: Any = T5EncoderModel(T5Config.from_dict({"feed_forward_proj": "gated-gelu", **config}))
    # It has the embeddings under two names. Those of the stack are the ones that it reads.
    del encoder.shared
    return encoder


BLOCKS: Final = r"encoder\.block\.\d+"
"""See `Family.blocks`."""
LARGE: Final = r"encoder\.block\.\d+\.layer\.\d+\.(?:SelfAttention\.[qkvo]|DenseReluDense\.\w+)\..+"
"""Of XXL, in 16 bits, they are 8.6 of 8.9 GiB."""

_EMBEDDINGS: Final = "encoder.embed_tokens.weight"
_LAYER_OF_LLAMA: Final = re.compile(r"enc\.blk\.(\d+)\.(\w+)\.")
_IN_LAYER: Final = {
    "attn_norm": "0.layer_norm",
    "ffn_norm": "1.layer_norm",
    **{f"attn_{each}": f"0.SelfAttention.{each}" for each in "qkvo"},
    "attn_rel_b": "0.SelfAttention.relative_attention_bias",
    "ffn_gate": "1.DenseReluDense.wi_0",
    "ffn_up": "1.DenseReluDense.wi_1",
    "ffn_down": "1.DenseReluDense.wo",
}
_OUTSIDE: Final = {
    "token_embd.weight": _EMBEDDINGS,
    "shared.weight": _EMBEDDINGS,
    "enc.output_norm.weight": "encoder.final_layer_norm.weight",
}
"""llama.cpp's names → transformers' (ggml-org/llama.cpp gguf-py/gguf/tensor_mapping.py and
constants.py). The numbers are the same."""


def bare(name: str) -> str:
    """The name in transformers of a parameter without the modules that programs put around the
    encoder."""
    own = name.removeprefix("transformer.")
    if found := _LAYER_OF_LLAMA.match(own):
        layer, module = found.groups()
        return f"encoder.block.{layer}.layer.{_IN_LAYER.get(module, module)}.{own[found.end() :]}"
    return _OUTSIDE.get(own, own)


def renamed(stored: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`stored`, under whatever names its files have below the encoder's, by those of the module."""
    return {bare(name): tensor for name, tensor in stored.items()}


def unread(name: str) -> bool:
    """Whether a tensor of that name below the encoder's is of no use to it: the decoder, and the
    embeddings for the second time."""
    own = name.removeprefix("transformer.")
    return own.startswith(("decoder.", "dec.", "lm_head.")) or own == _EMBEDDINGS


_TOKENIZER: Final = Kind(
    ("T5Tokenizer", "T5TokenizerFast", "TokenizersBackend"),
    {**tokenizer_files.TOKENS, "extra_ids": either(whole(0, 1_000), ABSENT)},
)
_DATA: Final = "tokenizer.json"
_UNKNOWN: Final = 2
"""Of the pieces: transformers takes no other."""
END: Final = "</s>"
"""The token that follows every text."""


def tokenizer(folder: Path, subject: Subject) -> Any:
    """The tokenizer in `folder`: its `tokenizer.json`, or else its `spiece.model`. Raises
    JobFailed."""
    names = (_DATA, PIECES)
    name = next((each for each in names if (folder / each).is_file()), None)
    if name is None:
        reason = f"{folder.name} has neither {_DATA} nor {PIECES}"
        raise subject.failed("model.unreadable", reason=reason)
    data = (name,) if name == _DATA else ()
    with tokenizer_files.clean(
        folder, data, {tokenizer_files.CONFIG: _TOKENIZER}, subject
    ) as copied:
        if name != _DATA:
            _convert(folder / name, copied / _DATA, subject)
        found = T5Tokenizer.from_pretrained(copied, local_files_only=True)
    tokenizer_files.demand(found, (END,), subject)
    return found


def _convert(pieces: Path, target: Path, subject: Subject) -> None:
    """Write the vocabulary of sentencepiece as `tokenizer.json`."""
    try:
        read = sentencepiece.read(pieces)
        if read.unknown != _UNKNOWN:
            raise sentencepiece.UnreadablePieces(f"its unk_id is {read.unknown}, not {_UNKNOWN}")
    except sentencepiece.UnreadablePieces as error:
        reason = f"{pieces.parent.name}/{pieces.name}: {error}"
        raise subject.failed("model.unreadable", reason=reason) from None
    made = T5Tokenizer(
        vocab=[*read.scored], extra_ids=0, _spm_precompiled_charsmap=read.normalizer or None
    )
    made.backend_tokenizer.save(str(target))


def ids(tokenizer: Any, text: str, most: int, model: str) -> tuple[int, ...]:
    """The tokens of `text` with the one that ends it, without padding.

    most: how many there is room for. model: for errors. Raises JobFailed.
    """
    found = tuple(tokenizer(text).input_ids)
    if len(found) > most:
        raise JobFailed("prompt.tokens", model=model, value=len(found) - 1, max=most - 1)
    return found


def states(
    encoder: Any, padding: int, tokens: tuple[int, ...], room: int, *, masked: bool
) -> torch.Tensor:
    """What comes out of the encoder for one text: shape (1, room, width).

    One text at a time, so that its bits do not depend on another's. padding: the token that fills
    the room. masked: whether nothing looks at the padding; FLUX.1 was trained with all of it.

    Raises ValueError for a token that the encoder has not got.
    """
    filled = [*tokens, *[padding] * (room - len(tokens))]
    if max(filled) >= encoder.config.vocab_size:
        raise ValueError(f"token {max(filled)} of {encoder.config.vocab_size}")
    seen = [1] * len(tokens) + [0] * (room - len(tokens))
    found: torch.Tensor = encoder(
        input_ids=torch.tensor([filled], device=encoder.device),
        attention_mask=torch.tensor([seen], device=encoder.device) if masked else None,
    )[0]
    return found
