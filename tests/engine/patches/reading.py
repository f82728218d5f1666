"""Reading a file as the engine does, and the messages when it is refused."""

from pathlib import Path
from typing import Any

import pytest

from bot.errors import JobFailed
from catalog.families.sdxl import SDXL
from tests.language import TEXTS

NAME = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn1_to_q"
SHAPE = (64, 64)
BIASLESS = NAME
BASES = SDXL.adapter_bases


def subject(check_stop: Any = lambda: None) -> Any:
    from bot.engine.subject import Subject

    return Subject("adapter", "tested", lambda _: None, check_stop)


def read(path: Path, known: Any) -> Any:
    """known: names and what they stand for, or the spellings made of them."""
    from bot.engine.patches import Spellings, read

    names = known if isinstance(known, Spellings) else Spellings(known)
    return read(path, names, BASES, subject())


def refused(path: Path, known: Any) -> JobFailed:
    with pytest.raises(JobFailed) as failure:
        read(path, known)
    error = failure.value
    assert error.params["adapter"] == "tested"
    for locale in ("en-US", "de", "fr"):
        said = TEXTS.speaker(locale)(error.code, **error.params)
        assert "tested" in said
        assert "{" not in said
    return error
