"""diffusers' pipelines of Chroma, whose mask of the prompt really masks.

In diffusers 0.42 it is of numbers, which attention adds: padding that it should not see counts a
little less, and short prompts suffer (huggingface/diffusers issues 12116 and 13619). Authors and
ComfyUI leave it out.
"""

from typing import Any, Final

ROOM: Final = 512
"""Tokens that a pipeline gives every prompt, unless it is told otherwise."""


def exact(pipe: Any) -> Any:
    """`pipe`, whose masks are of truths."""
    encoded = pipe._get_t5_prompt_embeds

    def masked(*args: Any, **kwargs: Any) -> Any:
        states, mask = encoded(*args, **kwargs)
        return states, mask.bool()

    pipe._get_t5_prompt_embeds = masked
    pipe._prepare_attention_mask = _extended
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _extended(batch_size: int, sequence_length: int, dtype: Any, attention_mask: Any = None) -> Any:
    """With the image's tokens, all of which count."""
    import torch

    if attention_mask is None:
        return None
    image = torch.ones(batch_size, sequence_length, dtype=torch.bool)
    return torch.cat([attention_mask, image], dim=1)


def room(pipe: Any, *texts: str) -> int:
    """Tokens of the longest of `texts`, and one of padding: all that a mask leaves of it."""
    return min(max(len(pipe.tokenizer(text).input_ids) for text in texts) + 1, ROOM)
