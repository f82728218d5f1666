"""What the files of a model state about its variant.

Models that are sampled in different ways, such as a distilled one and its base, may have the same
tensors.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from catalog.families.stated import Stated
from catalog.lines import clean_line
from catalog.weight_files.prediction import UnknownTraining, truth
from catalog.weight_files.scheduler_config import WHERE, read_json

_NAMES: Final = (
    *("modelspec.architecture", "modelspec.title"),
    *("general.name", "general.basename", "general.finetune"),
    *("general.base_model.0.name", "ss_output_name", "ss_base_model_version"),
)
_PATHS: Final = ("general.base_model.0.repo_url", "ss_sd_model_name")
"""Metadata with a name of the model, or of the one that it was trained or converted from: of the
model specification, of .gguf files, and of kohya's scripts."""
_DISTILLED: Final = ("is_distilled", "modelspec.is_distilled")
_NAME_MAX: Final = 200
_BETWEEN: Final = re.compile(r"[/\\]")


def in_metadata(metadata: Mapping[str, str]) -> Stated:
    """What the metadata of a single file state."""
    names = [metadata.get(key, "") for key in _NAMES]
    names += [last(metadata.get(key, "")) for key in _PATHS]
    own = (clean_line(name, _NAME_MAX) for name in names)
    return Stated((*dict.fromkeys(filter(None, own)),), _distilled(metadata))


def last(path: str) -> str:
    """The name of the file, folder or repository at a path or address; what is above it may be
    called anything."""
    return _BETWEEN.split(path.rstrip("/\\"))[-1]


def in_folder(
    folder: Path, index: Mapping[str, Any], denoiser: Mapping[str, Any], telling: Collection[str]
) -> Stated:
    """What a folder in diffusers' layout states, in its index and its configurations.

    denoiser: its configuration, empty where there is none. telling: classes of pipelines, without
    "Pipeline", whose names tell. Raises OSError if one is there but cannot be read.
    """
    distilled, guided = index.get("is_distilled"), denoiser.get("guidance_embeds")
    pipeline = str(index.get("_class_name")).removesuffix("Pipeline")
    try:
        scheduler = read_json(folder / "scheduler" / WHERE)
    except (FileNotFoundError, UnknownTraining):  # which is said when it is used
        scheduler = {}
    shift = None if scheduler.get("use_dynamic_shifting") else scheduler.get("shift")
    return Stated(
        (pipeline,) if pipeline in telling else (),
        distilled=distilled if isinstance(distilled, bool) else None,
        shift=shift if isinstance(shift, int | float) and shift is not True else None,
        guided=guided if isinstance(guided, bool) else None,
    )


def _distilled(metadata: Mapping[str, str]) -> bool | None:
    for key in _DISTILLED:
        try:
            return truth(metadata[key], key)
        except (KeyError, UnknownTraining):
            continue
    return None
