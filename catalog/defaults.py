"""What a catalog says outside its entries: the default model, and the adapter for references."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catalog.families import DEFAULT, FAMILIES
from catalog.schema import (
    DepthEntry,
    DescriberEntry,
    DetectorEntry,
    ImageCheckEntry,
    ModelEntry,
    ReferenceEntry,
    explain,
)
from catalog.snapshot import Problem
from catalog.unfit import Unfit


def default_of(
    file: Path,
    data: Mapping[str, Any],
    models: Mapping[str, ModelEntry],
    unfit: Mapping[str, Unfit],
) -> tuple[str, list[Problem]]:
    """The key of the default model, and problems with the one named in the file."""
    offered = [model.key for model in models.values() if model.enabled and model.key not in unfit]
    instead = offered[0] if offered else ""
    named = data.get("default")
    if isinstance(named, str) and named in offered:
        return named, []
    if not offered:
        return "", [Problem(str(file), "default", "no enabled and valid model to offer")]
    if named is None:
        why = "default is missing"
    elif not isinstance(named, str):
        why = f"default must be the key of a model in quotes, got {named!r:.40}"
    elif named in unfit and models[named].enabled:
        why = f"default names {named!r}, but {unfit[named].verdict}"
    elif named in models:
        why = f"default names {named!r}, which is disabled"
    else:
        why = f"default must be the key of an enabled and valid model, got {named!r}"
    return instead, [Problem(str(file), "default", f"{why}; using {instead!r}")]


def references_of(
    file: Path, data: Mapping[str, Any]
) -> tuple[dict[str, ReferenceEntry], list[Problem]]:
    """The IP-Adapters by key of their family: `[reference]` is DEFAULT's, `[reference.KEY]` another
    one's."""
    tables = data.get("reference")
    if tables is None:
        return {}, []
    named: dict[str, tuple[str, Any]] = {"reference": (DEFAULT.key, tables)}
    if isinstance(tables, dict):
        named = {f"reference.{key}": (key, tables[key]) for key in FAMILIES if key in tables}
        own = {name: value for name, value in tables.items() if name not in FAMILIES}
    else:
        own = {}
    if own:
        if f"reference.{DEFAULT.key}" in named:
            reason = f"it has both fields of its own and a table reference.{DEFAULT.key}"
            return {}, [Problem(str(file), "reference", reason)]
        named = {"reference": (DEFAULT.key, own), **named}
    found, problems = {}, []
    for table, (key, fields) in named.items():
        try:
            if not FAMILIES[key].takes_reference:
                raise ValueError(f"{FAMILIES[key].name} takes no reference images")
            found[key] = ReferenceEntry.model_validate(fields)
        except ValueError as error:
            reason = explain(error) if isinstance(error, ValidationError) else str(error)
            problems.append(Problem(str(file), table, reason))
    return found, problems


def image_check_of(
    file: Path, data: Mapping[str, Any]
) -> tuple[ImageCheckEntry | None, list[Problem]]:
    fields = data.get("image_check")
    if fields is None:
        return None, []
    try:
        return ImageCheckEntry.model_validate(fields), []
    except ValidationError as error:
        return None, [Problem(str(file), "image_check", explain(error))]


def depth_of(file: Path, data: Mapping[str, Any]) -> tuple[DepthEntry | None, list[Problem]]:
    fields = data.get("depth")
    if fields is None:
        return None, []
    try:
        return DepthEntry.model_validate(fields), []
    except ValidationError as error:
        return None, [Problem(str(file), "depth", explain(error))]


def detector_of(file: Path, data: Mapping[str, Any]) -> tuple[DetectorEntry | None, list[Problem]]:
    fields = data.get("detector")
    if fields is None:
        return None, []
    try:
        return DetectorEntry.model_validate(fields), []
    except ValidationError as error:
        return None, [Problem(str(file), "detector", explain(error))]


def describer_of(
    file: Path, data: Mapping[str, Any]
) -> tuple[DescriberEntry | None, list[Problem]]:
    fields = data.get("describer")
    if fields is None:
        return None, []
    try:
        return DescriberEntry.model_validate(fields), []
    except ValidationError as error:
        return None, [Problem(str(file), "describer", explain(error))]
