"""Kinds of files that look like adapters but cannot be applied, recognised by tensor names."""

import re
from collections.abc import Iterable
from typing import Final

from catalog.weight_files.peft_config import CONFIG_KINDS, OFT, Configs

_OFT_ALONE: Final = "OFT of OneTrainer, or of peft without adapter_config.json"
"""The configuration says how its numbers become rotations."""

_KINDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("DyLoRA", r"\.(?:up|down)_list\.\d+\n|\.lora_[AB]\.\d+\n"),
        ("ControlLoRA", r"\nlora_controlnet\n|\n(?:input_blocks|zero_convs)\..+\.(?:up|down)\n"),
        ("ControlNet-LLLite", r"\nlllite_"),
        ("T-LoRA", r"\.(?:lambda_layer|[pq]_layer\.weight)\n"),
        ("AdaLoRA", r"\.lora_E(?:\.\w+)?\n"),
        ("OFT of peft before 0.16", r"\.oft_r[.\n]"),
        (_OFT_ALONE, r"\.oft_R[.\n]"),
        ("OFT of LyCORIS 1", r"\.oft_diag\n"),
        ("VeRA", r"\.vera_(?:lambda|[AB])"),
        ("LoRA of embeddings", r"\.lora_embedding_[AB]"),
        (
            "textual inversion",
            r"\n(?:emb_params|clip_[lg](?:_out)?|text_encoders_\d|string_to_param.*)\n",
        ),
        ("ControlNet", r"\n(?:control_model|controlnet_\w+|controlnet_cond_embedding)\."),
        ("IP-Adapter", r"\n(?:ip_adapter|image_proj)\."),
        ("checkpoint", r"\n(?:first_stage_model|conditioner)\.|\nconv_in\.weight\n"),
        ("checkpoint", r"\n(?:model\.)?diffusion_model\.input_blocks\.0\.0\.weight\n"),
    )
)
"""Patterns that identify a kind, for names each between two line breaks. Written so that a search
can skip from literal to literal: a file has thousands of names, and a folder hundreds of files."""

UNSUPPORTED: Final = tuple(dict.fromkeys((*(kind for kind, _ in _KINDS), *CONFIG_KINDS)))
"""Every kind that `unsupported_kind` can return."""


def unsupported_kind(tensors: Iterable[str], configs: Configs) -> str | None:
    """The kind of file that the tensor names or the configurations reveal, if it cannot be applied.

    tensors: names that are not those of a kind that can.
    """
    if stated := next((c.unsupported for c in configs.values() if c.unsupported), None):
        return stated
    names = "\n" + "\n\n".join(tensors) + "\n"
    explained = {_OFT_ALONE} if any(c.method == OFT for c in configs.values()) else frozenset()
    return next((k for k, pattern in _KINDS if k not in explained and pattern.search(names)), None)
