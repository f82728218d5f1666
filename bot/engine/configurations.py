"""What a configuration from a folder or the hub may say: known fields, of checked type and size.

Configurations come from strangers, and the libraries that read them obey more than they need to:
a field may name code to load (`attn_implementation`, `auto_map`) or a size that fills the memory.
Known fields pass if their values are allowed; fields that would change the result without being
supported are refused by name; all others are dropped.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.engine.subject import Subject
from catalog.alternatives import alternatives

log = logging.getLogger(__name__)

VALUE_SHOWN: Final = 60
"""Characters shown of a value that is refused."""


@dataclass(frozen=True, slots=True)
class Field:
    """Which values a field may have. allowed: in words, for the error."""

    allowed: str
    fits: Callable[[object], bool]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def whole(low: int, high: int) -> Field:
    return Field(f"{low} to {high}", lambda value: type(value) is int and low <= value <= high)


def number(low: float, high: float) -> Field:
    def fits(value: object) -> bool:
        return isinstance(value, int | float) and type(value) is not bool and low <= value <= high

    return Field(f"{low:g} to {high:g}", fits)


def one_of(*values: object) -> Field:
    def fits(value: object) -> bool:
        return any(type(value) is type(known) and value == known for known in values)

    return Field(alternatives(map(_json, values)), fits)


def each(field: Field, most: int) -> Field:
    """A list of up to `most` such values."""

    def fits(value: object) -> bool:
        return isinstance(value, list) and len(value) <= most and all(map(field.fits, value))

    return Field(f"a list of up to {most} of {field.allowed}", fits)


def exactly(field: Field, count: int) -> Field:
    """A list of `count` such values."""
    some = each(field, count)
    return Field(
        f"a list of {count} of {field.allowed}",
        lambda value: isinstance(value, list) and len(value) == count and some.fits(value),
    )


def either(*fields: Field) -> Field:
    return Field(
        ", or ".join(field.allowed for field in fields),
        lambda value: any(field.fits(value) for field in fields),
    )


TRUTH: Final = one_of(True, False, None)
ABSENT: Final = one_of(None)


@dataclass(frozen=True, slots=True)
class Kind:
    """What the configuration of one kind of network may say.

    classes: names it may give the class that it is for, in `_class_name` or `architectures`.
    fields: those that pass, and what they may be.
    """

    classes: Collection[str]
    fields: Mapping[str, Field]


_REFUSED: Final[Mapping[str, Field]] = {
    "auto_map": ABSENT,
    "custom_pipeline": ABSENT,
    "quantization_config": ABSENT,
}
"""Of every kind: code of its own, or numbers that are not plain."""

_CHOOSING: Final = (
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("_attn_implementation_autoset", "experts_implementation", "trust_remote_code"),
    *("use_kernels", "kernel_config", "_use_default_values", "per_layer_config"),
)
"""Fields by which a configuration would choose code; dropped like every unknown one."""


def known(name: str, config: object, kind: Kind, subject: Subject) -> dict[str, Any]:
    """The fields of `config` that pass. name: of the network, for messages.

    Raises JobFailed for a value that is not allowed.
    """
    if not isinstance(config, Mapping):
        raise _refused(name, "config.json", config, "a JSON object", subject)
    for field in (key for key in _CLASSES if config.get(key) is not None):
        stated = config[field]
        names = stated if isinstance(stated, list) else [stated]
        if not any(isinstance(one, str) and one in kind.classes for one in names):
            raise _refused(name, field, stated, alternatives(sorted(kind.classes)), subject)
    for field, rule in {**_REFUSED, **kind.fields}.items():
        if field in config and not rule.fits(config[field]):
            raise _refused(name, field, config[field], rule.allowed, subject)
    dropped = sorted(config.keys() - kind.fields.keys() - {*_CLASSES})
    if chosen := [field for field in dropped if field in _CHOOSING]:
        log.info("%s: its configuration may not choose code: %s", name, ", ".join(chosen))
    if dropped:
        log.debug("%s: ignored in its configuration: %.500s", name, ", ".join(dropped))
    return {field: config[field] for field in kind.fields if field in config}


_CLASSES: Final = ("_class_name", "architectures", "tokenizer_class")


def _refused(name: str, field: str, value: object, allowed: str, subject: Subject) -> Exception:
    shown = _json(value)
    return subject.failed(
        "model.configuration",
        "reference.configuration",
        "control.configuration",
        "depth.configuration",
        "pose.configuration",
        "detector.configuration",
        "describer.configuration",
        field=f"{name}.{field}",
        value=shown if len(shown) <= VALUE_SHOWN else shown[: VALUE_SHOWN - 1] + "…",
        allowed=allowed,
    )


_ACTIVATIONS: Final = one_of(
    "quick_gelu", "gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu", "swish"
)
_OF_CLIP: Final = {
    "hidden_size": whole(1, 16_384),
    "intermediate_size": whole(1, 65_536),
    "projection_dim": either(whole(1, 16_384), ABSENT),
    "num_hidden_layers": whole(1, 128),
    "num_attention_heads": whole(1, 256),
    "hidden_act": _ACTIVATIONS,
    "layer_norm_eps": number(0, 1),
    "attention_dropout": number(0, 1),
    "initializer_range": number(0, 1_000),
    "initializer_factor": number(0, 1_000),
}
_TOKEN: Final = either(whole(0, 1_000_000), ABSENT)
CLIP_TEXT: Final = Kind(
    ("CLIPTextModel", "CLIPTextModelWithProjection", "CLIPModel"),
    {
        **_OF_CLIP,
        "model_type": one_of("clip_text_model", "clip"),
        "vocab_size": whole(1, 1_000_000),
        "max_position_embeddings": whole(1, 8_192),
        **dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"), _TOKEN),
    },
)
CLIP_VISION: Final = Kind(
    ("CLIPVisionModelWithProjection", "CLIPVisionModel", "CLIPModel"),
    {
        **_OF_CLIP,
        "model_type": one_of("clip_vision_model", "clip"),
        "num_channels": one_of(3),
        "image_size": whole(1, 2_048),
        "patch_size": whole(1, 256),
    },
)
