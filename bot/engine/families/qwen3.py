"""Qwen3 (arXiv 2505.09388) as a text encoder: its module, its files, its tokenizer. Imports torch.

A family reads what comes out of one or several of its layers. Those after the last that is read are
never built, nor is the head that would predict words: what is read stays the same to the last bit.
So it does of Qwen3-VL (arXiv 2511.21631) without the half that reads images: for words alone, all
three axes of its positions are one, and it is a Qwen3.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3Model

from bot.engine.configurations import (
    ABSENT,
    TRUTH,
    Field,
    Kind,
    each,
    either,
    known,
    number,
    one_of,
    whole,
)
from bot.engine.families import tokenizer_files
from bot.engine.subject import Subject
from bot.errors import JobFailed

_THETA: Final = number(1, 1e12)
_ROPE: Final = Field(
    'a table of "rope_type": "default" and "rope_theta"',
    lambda value: (
        isinstance(value, dict)
        and value.keys() <= {"rope_type", "rope_theta"}
        and value.get("rope_type", "default") == "default"
        and ("rope_theta" not in value or _THETA.fits(value["rope_theta"]))
    ),
)
_OF_AXES: Final = ("mrope_section", "mrope_interleaved")
"""How the positions of images are divided among rotations, which is the same for those of words."""
_LAYERS_MAX: Final = 128
_VISION_THETA: Final = 500_000.0
"""The base of the rotations of a Qwen3-VL whose configuration has none (transformers'
`Qwen3VLTextConfig`)."""


def _kind(least: int, named: str = "qwen3") -> Kind:
    return Kind(
        ("Qwen3ForCausalLM", "Qwen3Model"),
        {
            "model_type": one_of(named),
            "vocab_size": whole(1, 1_000_000),
            "hidden_size": whole(1, 16_384),
            "intermediate_size": whole(1, 65_536),
            "num_hidden_layers": whole(least, _LAYERS_MAX),
            "num_attention_heads": whole(1, 256),
            "num_key_value_heads": whole(1, 256),
            "head_dim": whole(1, 1_024),
            "hidden_act": one_of("silu"),
            "max_position_embeddings": whole(1, 10_000_000),
            "initializer_range": number(0, 1_000),
            "rms_norm_eps": number(0, 1),
            "rope_theta": _THETA,
            "rope_scaling": ABSENT,
            "rope_parameters": either(_ROPE, ABSENT),
            "attention_bias": TRUTH,
            "attention_dropout": number(0, 1),
            "layer_types": either(each(one_of("full_attention"), _LAYERS_MAX), ABSENT),
            "use_sliding_window": one_of(False, None),
        },
    )


_VISION: Final = Kind(
    ("Qwen3VLForConditionalGeneration", "Qwen3VLModel"), {"model_type": one_of("qwen3_vl")}
)


def checked(
    network: str, config: Mapping[str, Any], subject: Subject, *, least: int
) -> dict[str, Any]:
    """The fields of an untrusted configuration that the encoder is built from. Raises JobFailed.

    least: layers that it has to have.
    """
    allowed = known(network, config, _kind(least), subject)
    allowed.pop("layer_types", None)  # as many as there are layers, all the same
    return allowed


def checked_vision(
    network: str, config: Mapping[str, Any], subject: Subject, *, least: int
) -> dict[str, Any]:
    """The same for the language model of a Qwen3-VL."""
    known(network, config, _VISION, subject)
    text = dict(config["text_config"]) if isinstance(config.get("text_config"), Mapping) else {}
    rope: dict[str, Any] = {"rope_theta": text.pop("rope_theta", _VISION_THETA)}
    for name in ("rope_scaling", "rope_parameters"):  # of transformers 4, and of 5
        if isinstance(text.get(name), Mapping):
            rope |= {key: value for key, value in text.pop(name).items() if key not in _OF_AXES}
    text.setdefault("rope_parameters", rope)
    allowed = known(network, text, _kind(least, "qwen3_vl_text"), subject)
    return {**allowed, "model_type": "qwen3"}


def build(config: Mapping[str, Any], *, normed: bool = False) -> Any:
    """The encoder without its head; within `building.without_weights`.

    normed: whether the last layer's state is normed, as the last hidden state is. If not, it is
        left as it comes out, as all the others are.
    """
    encoder: Any = Qwen3Model(Qwen3Config.from_dict(dict(config)))
    if not normed:
        encoder.norm = torch.nn.Identity()
    # A plain attribute keeps its dtype, whatever the encoder computes in.
    frequencies = encoder.rotary_emb.inv_freq.detach()
    del encoder.rotary_emb.inv_freq
    encoder.rotary_emb.inv_freq = frequencies
    return encoder


VISION: Final = "visual."
"""What the names of a Qwen3-VL begin with in the half that reads images."""

_LAYER_OF_LLAMA: Final = re.compile(r"blk\.(\d+)\.(\w+)\.")
_IN_LAYER: Final = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_output": "self_attn.o_proj",
    **{f"attn_{each}": f"self_attn.{each}_proj" for each in "qkv"},
    **{f"attn_{each}_norm": f"self_attn.{each}_norm" for each in "qk"},
    **{f"ffn_{each}": f"mlp.{each}_proj" for each in ("gate", "up", "down")},
}
_OUTSIDE: Final = {
    "token_embd.weight": "embed_tokens.weight",
    "output_norm.weight": "norm.weight",
    "output.weight": "lm_head.weight",
}
"""llama.cpp's names → transformers'. The numbers are the same: of this architecture it turns no
rows over, as it does of Llama's (ggml-org/llama.cpp conversion/qwen.py; gguf-py/gguf/constants.py,
`MODEL_TENSOR`)."""


def bare(name: str) -> str:
    """The name in transformers of a parameter without the modules that programs put around the
    encoder."""
    own = name.removeprefix("transformer.").removeprefix("model.").removeprefix("language_model.")
    if found := _LAYER_OF_LLAMA.match(own):
        number, module = found.groups()
        return f"layers.{number}.{_IN_LAYER.get(module, module)}.{own[found.end() :]}"
    return _OUTSIDE.get(own, own)


_LAYER: Final = re.compile(r"layers\.(\d+)\.")


def unread(name: str, layers: int, *, normed: bool = False) -> bool:
    """Whether a tensor of that bare name is of no use to an encoder with so many layers."""
    layer = _LAYER.match(name)
    beyond = layer is not None and int(layer[1]) >= layers
    return beyond or name == "lm_head.weight" or (name == "norm.weight" and not normed)


_TOKENIZER: Final = Kind(
    ("Qwen2Tokenizer", "Qwen2TokenizerFast", "TokenizersBackend"),
    {**tokenizer_files.TOKENS, "add_prefix_space": TRUTH},
)
_DATA: Final = ("vocab.json", "merges.txt", "tokenizer.json")


def tokenizer(folder: Path, marks: Collection[str], subject: Subject) -> Any:
    """The tokenizer in `folder`. Its chat template is left out: it is a program.

    marks: texts that have to be one token each. Raises JobFailed.
    """
    with tokenizer_files.clean(
        folder, _DATA, {tokenizer_files.CONFIG: _TOKENIZER}, subject
    ) as copied:
        found = Qwen2Tokenizer.from_pretrained(copied, local_files_only=True)
    tokenizer_files.demand(found, (*marks, found.pad_token), subject)
    return found


def ids(
    tokenizer: Any, template: tuple[str, str], text: str, most: int, model: str
) -> tuple[int, ...]:
    """The tokens of `text` between the two halves of `template`, without padding.

    most: how many there is room for. model: for errors. Raises JobFailed.
    """
    before, after = template
    found = tuple(tokenizer(f"{before}{text}{after}").input_ids)
    if len(found) > most:
        frame = len(tokenizer(before + after).input_ids)
        raise JobFailed("prompt.tokens", model=model, value=len(found) - frame, max=most - frame)
    return found


def states(
    encoder: Any,
    padding: int,
    tokens: tuple[int, ...],
    room: int,
    after: tuple[int, ...] = (),
) -> tuple[torch.Tensor, ...]:
    """What goes into the first layer, and comes out of each, for one text: shape (1, n, width).

    One text at a time, so that its bits do not depend on another's. padding: the token that fills
    the room. after: tokens behind the room, which go on counting where `tokens` end.
    """
    filled = [*tokens, *[padding] * (room - len(tokens)), *after]
    seen = [1] * len(tokens) + [0] * (room - len(tokens)) + [1] * len(after)
    mask = torch.tensor([seen], device=encoder.device)
    output = encoder(
        input_ids=torch.tensor([filled], device=encoder.device),
        attention_mask=mask,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0) if after else None,
        output_hidden_states=True,
        use_cache=False,
    )
    found: tuple[torch.Tensor, ...] = output.hidden_states
    return found


def narrowed(values: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`values` in `dtype`, with what is beyond its range at the range's end."""
    if dtype == values.dtype:
        return values
    limits = torch.finfo(dtype)
    return values.clamp(limits.min, limits.max).to(dtype)
