"""Krea 2's text encoder: Qwen3-VL, of which several layers are read. Imports torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import torch

from bot.engine.families import qwen3
from bot.engine.families.family import Recall, Tensors
from bot.errors import JobFailed
from catalog.families.krea2 import KREA2 as FACTS
from catalog.families.krea2.recognition import LAYERS

TOKENS: Final = FACTS.prompt.tokens
"""That the transformer is given, of which those of AFTER are the last."""
BEFORE: Final = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity,"
    " text, spatial relationships of the objects and background:<|im_end|>\n<|im_start|>user\n"
)
AFTER: Final = "<|im_end|>\n<|im_start|>assistant\n"
"""What stands before and after a prompt, in the template that the transformer was trained with.
What fills the room stands between the prompt and AFTER."""
SKIPPED: Final = 34
"""Tokens of BEFORE, whose states the transformer is not given."""
ENDING: Final = 5
"""Tokens of AFTER."""
ROOM: Final = SKIPPED + TOKENS - ENDING
"""Tokens of BEFORE and a prompt, or what fills the room of a shorter one."""
MARKS: Final = ("<|im_start|>", "<|im_end|>")
"""What is one token each in the template."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text for the transformer, on the device of the encoder.

    states: of each layer that is read, shape (1, TOKENS, layers, width of the encoder); zeros where
        no token is. seen: where one is, shape (1, TOKENS).
    """

    states: torch.Tensor
    seen: torch.Tensor


@dataclass(frozen=True, slots=True)
class Encoded:
    """Both prompts. negative: None when guidance is off."""

    prompt: Prompt
    negative: Prompt | None


def encode(
    encoder: Any,
    tokenizer: Any,
    pairs: Sequence[tuple[str, str | None]],
    dtype: torch.dtype,
    recall: Recall,
    model: str,
) -> tuple[Encoded, ...]:
    """Encode the prompts of one pass. Of several, each text is encoded once.

    encoder: a Qwen3Model that is cut after the last of LAYERS. pairs: a prompt and its negative
    one, possibly empty; None when guidance is off. dtype: of the transformer. model: for errors.

    Raises JobFailed for a text of more tokens than there is room for.

    The states of tokens equal those of diffusers' `Krea2Pipeline.encode_prompt` bit for bit, where
    the encoder has the transformer's dtype. Where no token is, it has numbers that nothing reads.
    """
    after = tuple(tokenizer(AFTER).input_ids)

    @cache
    def encoded(text: str) -> Prompt:
        ids = tuple(tokenizer(BEFORE + text).input_ids)
        if len(ids) > ROOM:
            frame = len(tokenizer(BEFORE).input_ids)
            raise JobFailed("prompt.tokens", model=model, value=len(ids) - frame, max=ROOM - frame)
        gap = slice(len(ids) - SKIPPED, ROOM - SKIPPED)

        def run() -> Tensors:
            states = qwen3.states(encoder, tokenizer.pad_token_id, ids, ROOM, after)
            read = torch.stack([states[layer][0] for layer in LAYERS], dim=1)[SKIPPED:]
            # What is kept is as long as the text.
            return (torch.cat([read[: gap.start], read[gap.stop :]]),)

        (found,) = recall((ids, after), run)
        seen = torch.ones(gap.stop + len(after), dtype=torch.bool, device=found.device)
        seen[gap] = False
        filled = found.new_zeros((len(seen), *found.shape[1:]))
        filled[seen] = found
        return Prompt(qwen3.narrowed(filled, dtype)[None], seen[None])

    return tuple(
        Encoded(encoded(prompt), None if negative is None else encoded(negative))
        for prompt, negative in pairs
    )
