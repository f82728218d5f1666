"""Kinds of files that look like adapters and cannot be applied, told by names of tensors."""

import re
from collections.abc import Iterable
from typing import Final

_KINDS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        ("DyLoRA", r"\.(?:up|down)_list\.\d+\n|\.lora_[AB]\.\d+\n"),
        ("ControlLoRA", r"\nlora_controlnet\n|\n(?:input_blocks|zero_convs)\..+\.(?:up|down)\n"),
        ("ControlNet-LLLite", r"\nlllite_"),
        ("T-LoRA", r"\.(?:lambda_layer|[pq]_layer\.weight)\n"),
        ("AdaLoRA", r"\.lora_E(?:\.\w+)?\n"),
        ("OFT of peft (OFTv2)", r"\.oft_[rR][.\n]"),
        ("BOFT of peft", r"\.boft_[RrsS][.\n]"),
        ("OFT of LyCORIS 1", r"\.oft_diag\n"),
        ("IA3 of peft", r"\.ia3_l[.\n]"),
        ("VeRA", r"\.vera_(?:lambda|[AB])"),
        ("LoRA of embeddings", r"\.lora_embedding_[AB]"),
        ("LoRA with embeddings inside", r"\nbundle_emb\."),
        ("textual inversion", r"\n(?:emb_params\n|clip_[lg]\n|string_to_param)"),
        ("ControlNet", r"\n(?:control_model|controlnet_\w+|controlnet_cond_embedding)\."),
        ("IP-Adapter", r"\n(?:ip_adapter|image_proj)\."),
        ("checkpoint", r"\n(?:first_stage_model|conditioner)\.|\nconv_in\.weight\n"),
        ("checkpoint", r"\n(?:model\.)?diffusion_model\.input_blocks\.0\.0\.weight\n"),
    )
)
"""What gives a kind away, in names of which each stands between two line breaks. Written so that
a search leaps from one literal to the next: a file has thousands of names, and a folder hundreds
of files."""

UNSUPPORTED: Final = tuple(dict.fromkeys(kind for kind, _ in _KINDS))
"""Every kind that `unsupported_kind` tells."""


def unsupported_kind(tensors: Iterable[str]) -> str | None:
    """The kind of file that names of tensors give away, when it cannot be applied.

    The catalog marks by it, and the engine refuses by it: what one offers the other takes.
    """
    names = "\n" + "\n\n".join(tensors) + "\n"
    return next((kind for kind, pattern in _KINDS if pattern.search(names)), None)
