"""What the configurations of FLUX.2 klein's networks and tokenizer may say."""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

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
from bot.engine.families.family import VAE
from bot.engine.families.flux2.latents import CHANNELS, PATCH
from bot.engine.families.flux2.text import LAYERS, MARKS
from bot.engine.subject import Subject

_AXES: Final = 4
_BLOCKS: Final = 4
"""Of the VAE: each but the last halves the sides, which gives an eighth."""


def _exactly(field: Field, count: int) -> Field:
    """A list of `count` such values."""
    some = each(field, count)
    return Field(
        f"a list of {count} of {field.allowed}",
        lambda value: isinstance(value, list) and len(value) == count and some.fits(value),
    )


TRANSFORMER: Final = Kind(
    ("Flux2Transformer2DModel",),
    {
        "patch_size": one_of(1),
        "in_channels": one_of(CHANNELS),
        "out_channels": one_of(CHANNELS, None),
        "num_layers": whole(1, 64),
        "num_single_layers": whole(1, 128),
        "attention_head_dim": whole(1, 1_024),
        "num_attention_heads": whole(1, 256),
        "joint_attention_dim": whole(1, 65_536),
        "timestep_guidance_channels": whole(2, 4_096),
        "mlp_ratio": number(0, 64),
        "axes_dims_rope": _exactly(whole(2, 1_024), _AXES),
        "rope_theta": number(1, 1e9),
        "eps": number(0, 1),
        # FLUX.2 dev, which has another text encoder, is guided by an embedding.
        "guidance_embeds": one_of(False),
    },
)
_CHANNELS: Final = _exactly(whole(1, 8_192), _BLOCKS)
AUTOENCODER: Final = Kind(
    ("AutoencoderKLFlux2",),
    {
        **dict.fromkeys(("in_channels", "out_channels"), one_of(3)),
        "latent_channels": one_of(CHANNELS // PATCH**2),
        "down_block_types": _exactly(one_of("DownEncoderBlock2D"), _BLOCKS),
        "up_block_types": _exactly(one_of("UpDecoderBlock2D"), _BLOCKS),
        "block_out_channels": _CHANNELS,
        "decoder_block_out_channels": either(_CHANNELS, ABSENT),
        "layers_per_block": whole(1, 8),
        "act_fn": one_of("silu", "swish", "mish", "gelu", "relu"),
        "norm_num_groups": whole(1, 1_024),
        "sample_size": whole(1, 8_192),
        **dict.fromkeys(
            ("use_quant_conv", "use_post_quant_conv", "mid_block_add_attention"),
            one_of(True, False),
        ),
        "batch_norm_eps": number(0, 1),
        "batch_norm_momentum": number(0, 1),
        "patch_size": one_of([PATCH, PATCH]),
    },
)
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
ENCODER: Final = Kind(
    ("Qwen3ForCausalLM", "Qwen3Model"),
    {
        "model_type": one_of("qwen3"),
        "vocab_size": whole(1, 1_000_000),
        "hidden_size": whole(1, 16_384),
        "intermediate_size": whole(1, 65_536),
        "num_hidden_layers": whole(max(LAYERS), 128),
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
        "layer_types": either(each(one_of("full_attention"), 128), ABSENT),
        "use_sliding_window": one_of(False, None),
    },
)
_OF_NETWORK: Final[Mapping[str, Kind]] = {
    "transformer": TRANSFORMER,
    "text_encoder": ENCODER,
    VAE: AUTOENCODER,
}


def checked(network: str, config: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    """The fields of the configuration of `network` that it is built from. Raises JobFailed.

    The text encoder is cut after the last layer that is read.
    """
    allowed = known(network, config, _OF_NETWORK[network], subject)
    if network == "text_encoder":
        allowed.pop("layer_types", None)  # as many as there are layers, all the same
        allowed["num_hidden_layers"] = max(LAYERS)
    return allowed


_TEXT: Final = Field("text of up to 200 characters", lambda v: type(v) is str and len(v) <= 200)
_FLAGS: Final = ("lstrip", "rstrip", "normalized", "single_word", "special")


def _is_token(value: object) -> bool:
    """Whether it is a token as text, or as the table that tokenizers write."""
    if not isinstance(value, dict):
        return value is None or _TEXT.fits(value)
    return _TEXT.fits(value.get("content")) and all(
        field in {"content", "__type"} or (field in _FLAGS and isinstance(flag, bool))
        for field, flag in value.items()
    )


_ONE_TOKEN: Final = Field("a token", _is_token)
_TOKENS_MAX: Final = 10_000
TOKENIZER: Final = Kind(
    ("Qwen2Tokenizer", "Qwen2TokenizerFast", "TokenizersBackend"),
    {
        **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), _ONE_TOKEN),
        **dict.fromkeys(
            ("additional_special_tokens", "extra_special_tokens"),
            either(each(_ONE_TOKEN, _TOKENS_MAX), one_of({}, None)),
        ),
        "added_tokens_decoder": Field(
            f"up to {_TOKENS_MAX} tokens by their numbers",
            lambda v: (
                isinstance(v, dict)
                and len(v) <= _TOKENS_MAX
                and all(key.isascii() and key.isdecimal() and len(key) < 8 for key in v)
                and all(isinstance(token, dict) and _is_token(token) for token in v.values())
            ),
        ),
        "add_prefix_space": TRUTH,
    },
)
_DATA: Final = ("vocab.json", "merges.txt", "tokenizer.json")


def copy_tokenizer(folder: Path, target: Path, subject: Subject) -> None:
    """Copy what a tokenizer is made of from `folder` to `target`, and no more. Raises JobFailed.

    Its chat template is left out: it is a program, and `text.TEMPLATE` says the same.
    """
    for name in _DATA:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    name = "tokenizer_config.json"
    config = json.loads((folder / name).read_text(encoding="utf-8"))
    allowed = known(folder.name, config, TOKENIZER, subject)
    (target / name).write_text(json.dumps(allowed), encoding="utf-8")


def check_tokenizer(tokenizer: Any, subject: Subject) -> None:
    """Raise JobFailed unless `tokenizer` has what `text.TEMPLATE` and padding are made of."""
    vocabulary = tokenizer.get_vocab()
    missing = [mark for mark in (*MARKS, tokenizer.pad_token) if mark not in vocabulary]
    if missing:
        reason = f"its tokenizer has no {missing[0]}"
        raise subject.failed("model.unreadable", reason=reason)
