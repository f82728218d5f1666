"""Tokenizers of the kinds that the models have, which need no download. Imports transformers."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer, Qwen2Tokenizer, T5Tokenizer

from catalog.locate import BUILTINS_DIR

TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
    "{% endif %}{% endif %}"
)
"""What Qwen3's own template says of messages without tools, thoughts and a system prompt."""
ENDS: Final = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>")
PIECES: Final = (
    *("<pad>", "</s>", "<unk>", "▁"),
    *("abcdefghijklmnopqrstuvwxyz"),
    *("▁fox", "sn", "ow", ","),
)
CLIP_VOCABULARY: Final = 49_408
"""Rows of CLIP's token embeddings; the last two are the start and end tokens."""


def qwen(ends: tuple[str, ...] = ENDS) -> Any:
    """Each byte is a token, and each of `ends`."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate((*bytes_, *ends))}
    return Qwen2Tokenizer(
        vocab=vocabulary, merges=[], additional_special_tokens=[*ends[1:]], chat_template=TEMPLATE
    )


def t5() -> Any:
    """Each letter is a token, and some of their sequences."""
    scored = [(piece, -float(number)) for number, piece in enumerate(PIECES)]
    return T5Tokenizer(vocab=scored, extra_ids=0)


def clip() -> Any:
    """The demo model's, as `write_clip` writes it."""
    with TemporaryDirectory() as temporary:
        write_clip(Path(temporary) / "tokenizer")
        return CLIPTokenizer.from_pretrained(Path(temporary) / "tokenizer")


def write_clip(folder: Path, name: str = "tokenizer") -> None:
    """Write the demo model's tokenizer of that name to `folder`, with the start and end tokens
    where CLIP's vocabulary, which is larger, has them."""
    shutil.copytree(BUILTINS_DIR / "flat" / name, folder)
    file = folder / "vocab.json"
    vocabulary = json.loads(file.read_text(encoding="utf-8"))
    vocabulary |= {
        "<|startoftext|>": CLIP_VOCABULARY - 2,
        "<|endoftext|>": CLIP_VOCABULARY - 1,
    }
    file.write_text(json.dumps(vocabulary), encoding="utf-8")
