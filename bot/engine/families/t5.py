"""The tokenizer of T5 (arXiv 1910.10683). Imports torch, by way of transformers."""

from pathlib import Path
from typing import Any, Final

from transformers import T5Tokenizer

from bot.engine.configurations import ABSENT, Kind, either, whole
from bot.engine.families import tokenizer_files
from bot.engine.subject import Subject

_KIND: Final = Kind(
    ("T5Tokenizer", "T5TokenizerFast", "TokenizersBackend"),
    {**tokenizer_files.TOKENS, "extra_ids": either(whole(0, 1_000), ABSENT)},
)
_DATA: Final = "tokenizer.json"
END: Final = "</s>"
"""The token that follows every text."""


def tokenizer(folder: Path, subject: Subject) -> Any:
    """The tokenizer in `folder`. Raises JobFailed.

    A vocabulary in the format of sentencepiece alone is not read.
    """
    if not (folder / _DATA).is_file():
        raise subject.failed("model.unreadable", reason=f"{folder.name} has no {_DATA}")
    with tokenizer_files.clean(
        folder, (_DATA,), {tokenizer_files.CONFIG: _KIND}, subject
    ) as copied:
        found = T5Tokenizer.from_pretrained(copied, local_files_only=True)
    tokenizer_files.demand(found, (END,), subject)
    return found
