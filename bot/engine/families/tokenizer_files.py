"""The files of a tokenizer: only those that it is made of, and a configuration that is checked.

A tokenizer's configuration may name code and other files, and its chat template is a program, so a
tokenizer is never read from the folder of a model itself.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from bot.engine.configurations import Field, Kind, each, either, known, one_of
from bot.engine.subject import Subject

CONFIG: Final = "tokenizer_config.json"
TEXT: Final = Field("text of up to 200 characters", lambda v: type(v) is str and len(v) <= 200)
_FLAGS: Final = ("lstrip", "rstrip", "normalized", "single_word", "special")


def _is_token(value: object) -> bool:
    """Whether it is a token as text, or as the table that tokenizers write."""
    if not isinstance(value, dict):
        return value is None or TEXT.fits(value)
    return TEXT.fits(value.get("content")) and all(
        field in {"content", "__type"} or (field in _FLAGS and isinstance(flag, bool))
        for field, flag in value.items()
    )


_ONE_TOKEN: Final = Field("a token", _is_token)
TOKENS_MAX: Final = 10_000
SOME_TOKENS: Final = each(_ONE_TOKEN, TOKENS_MAX)
SPECIAL: Final = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), _ONE_TOKEN)
TOKENS_BY_NUMBER: Final = Field(
    f"up to {TOKENS_MAX} tokens by their numbers",
    lambda v: (
        isinstance(v, dict)
        and len(v) <= TOKENS_MAX
        and all(key.isascii() and key.isdecimal() and len(key) < 8 for key in v)
        and all(isinstance(token, dict) and _is_token(token) for token in v.values())
    ),
)
TOKENS: Final[Mapping[str, Field]] = {
    **SPECIAL,
    **dict.fromkeys(
        ("additional_special_tokens", "extra_special_tokens"),
        either(SOME_TOKENS, one_of({}, None)),
    ),
    "added_tokens_decoder": TOKENS_BY_NUMBER,
}
"""Fields that the configuration of a tokenizer may have. CLIP's has none for extra tokens."""


@contextmanager
def clean(
    folder: Path,
    data: Iterable[str],
    configs: Mapping[str, Kind],
    subject: Subject,
    *,
    needed: bool = True,
) -> Iterator[Path]:
    """A folder that has, within the block, what a tokenizer in `folder` is made of.

    data: names of its other files, of which it has some. configs: what each of its configurations
    may say, by name. needed: whether it has to have these. Raises JobFailed, and OSError.
    """
    with TemporaryDirectory() as copied:
        target = Path(copied)
        for name in data:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, target / name)
        for name, kind in configs.items():
            if needed or (folder / name).is_file():
                config = json.loads((folder / name).read_text(encoding="utf-8"))
                allowed = known(folder.name, config, kind, subject)
                (target / name).write_text(json.dumps(allowed), encoding="utf-8")
        yield target


def demand(tokenizer: Any, tokens: Iterable[str], subject: Subject) -> None:
    """Raise JobFailed unless `tokenizer` has these tokens."""
    vocabulary = tokenizer.get_vocab()
    if missing := [token for token in tokens if token not in vocabulary]:
        raise subject.failed("model.unreadable", reason=f"its tokenizer has no {missing[0]}")
