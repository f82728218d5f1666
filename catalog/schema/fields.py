"""The types of the fields of catalog entries, and the values these may have."""

import re
from pathlib import PurePosixPath, PureWindowsPath
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from catalog.alternatives import alternatives
from catalog.control_types import CONTROL_TYPES
from catalog.limits import (
    KEY_MAX,
    LICENCE_MAX,
    NAME_MAX,
    STYLE_TEXT_MAX,
    TAG_MAX,
    TAGS_MAX,
    TRIGGER_MAX,
)
from catalog.lines import CONTROL
from catalog.schedulers import SCHEDULERS
from catalog.weight_files.gguf import MODEL_SUFFIXES
from catalog.weight_files.gguf import SUFFIX as GGUF

_KEY: Final = re.compile(rf"[a-z0-9][a-z0-9._-]{{0,{KEY_MAX - 1}}}")
_PICKLES: Final = (".ckpt", ".pt", ".pth", ".bin", ".pkl")


def is_key(text: str) -> bool:
    """Whether `text` may be the key of an entry."""
    return _KEY.fullmatch(text) is not None


def _plain(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("must be one line without control characters")
    if text != text.strip():
        raise ValueError("must not begin or end with whitespace")
    return text


def _source(text: str) -> str:
    if text.lower().endswith(_PICKLES):
        raise ValueError("must not be a pickle file: only .safetensors is ever loaded")
    if not PurePosixPath(text).is_absolute() and ".." in PureWindowsPath(text).parts:
        raise ValueError("must not contain '..': give an absolute path instead")
    return text


def _no_gguf(text: str) -> str:
    if text.lower().endswith(GGUF):
        raise ValueError(f"must not be a {GGUF} file: only models can be")
    return text


def _inside_repository(text: str) -> str:
    path = PureWindowsPath(text)
    if path.is_absolute() or path.root or path.drive or ".." in path.parts:
        raise ValueError("must be the name of a file inside the repository or folder")
    return text


def _weights(text: str) -> str:
    if not _no_gguf(text).lower().endswith(".safetensors"):
        raise ValueError("must end in .safetensors")
    return text


def _weights_of_model(text: str) -> str:
    if not text.lower().endswith(MODEL_SUFFIXES):
        raise ValueError(f"must end in {alternatives(MODEL_SUFFIXES)}")
    return text


def _folder_inside(text: str) -> str:
    path = PureWindowsPath(text)
    if path.is_absolute() or path.root or path.drive or ".." in path.parts:
        raise ValueError("must be the name of a folder inside the repository or folder")
    return text


def _link(text: str) -> str:
    if text and not text.startswith("https://"):
        raise ValueError("must be empty or begin with https://")
    return text


def _scheduler(text: str) -> str:
    if text not in SCHEDULERS:
        raise ValueError(f"must be one of {', '.join(SCHEDULERS)}")
    return text


def _control_type(text: str) -> str:
    if text not in CONTROL_TYPES:
        raise ValueError(f"must be one of {', '.join(CONTROL_TYPES)}")
    return text


Line = Annotated[str, AfterValidator(_plain)]
Name = Annotated[Line, Field(min_length=1, max_length=NAME_MAX)]
Source = Annotated[Line, Field(min_length=1, max_length=1024), AfterValidator(_source)]
SafetensorsSource = Annotated[Source, AfterValidator(_no_gguf)]
"""Of everything but models."""
_FileInside = Annotated[
    Line, Field(min_length=1, max_length=256), AfterValidator(_inside_repository)
]
WeightFile = Annotated[_FileInside, AfterValidator(_weights)]
ModelFile = Annotated[_FileInside, AfterValidator(_weights_of_model)]
Subfolder = Annotated[Line, Field(min_length=1, max_length=256), AfterValidator(_folder_inside)]
Revision = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,99}$")]
Description = Annotated[str, Field(max_length=1000)]
Link = Annotated[Line, Field(max_length=512), AfterValidator(_link)]
Trigger = Annotated[Line, Field(min_length=1, max_length=TRIGGER_MAX)]
Scheduler = Annotated[str, AfterValidator(_scheduler)]
ControlType = Annotated[str, AfterValidator(_control_type)]
StyleText = Annotated[str, Field(max_length=STYLE_TEXT_MAX)]
Licence = Annotated[Line, Field(max_length=LICENCE_MAX)]
Tag = Annotated[Line, Field(min_length=1, max_length=TAG_MAX)]
# TOML has lists where we keep tuples, so only the items are strict.
Size = Annotated[tuple[int, int], Field(strict=False)]
Triggers = Annotated[tuple[Trigger, ...], Field(strict=False, max_length=50)]
Tags = Annotated[tuple[Tag, ...], Field(strict=False, max_length=TAGS_MAX)]
Keys = Annotated[tuple[str, ...], Field(strict=False)]
Side = Annotated[int, Field(ge=64, le=4096)]
ClipSkip = Annotated[int, Field(ge=1, le=12)]
