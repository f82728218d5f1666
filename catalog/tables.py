"""Read the tables of one TOML file of the catalog; what is invalid in it becomes a problem."""

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from pydantic import ValidationError
from rapidfuzz import fuzz, process

from catalog.disk import may_pass, reason_of, status_of
from catalog.schema import (
    AdapterEntry,
    ControlNetEntry,
    EmbeddingEntry,
    ModelEntry,
    StyleEntry,
    UpscalerEntry,
    explain,
)
from catalog.search import SIMILAR
from catalog.snapshot import CatalogError, Problem

EntryT = TypeVar(
    "EntryT",
    ModelEntry,
    AdapterEntry,
    EmbeddingEntry,
    UpscalerEntry,
    ControlNetEntry,
    StyleEntry,
)
_BESIDE: Final[Mapping[str, frozenset[str]]] = {
    "models": frozenset(("default", "reference", "image_check", "detector", "describer")),
    "controlnets": frozenset(("depth", "pose")),
}
"""What else may be at the top level of the file with these tables."""
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(slots=True)
class Table(Generic[EntryT]):
    """The valid entries of one file; `tables` holds the raw ones, valid or not."""

    entries: dict[str, EntryT] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def is_there(file: Path) -> bool:
    """Whether there is such a file, readable or not. Raises OSError if it may be told later."""
    try:
        return status_of(file) is not None
    except OSError as error:
        if may_pass(error):
            raise
        return True


def parsed(file: Path) -> dict[str, Any]:
    """The contents of a TOML file. Raises CatalogError, and OSError if it may be read later."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
        return tomllib.loads(text)
    except OSError as error:
        if may_pass(error):
            raise
        raise CatalogError(f"{file} cannot be read: {reason_of(error)}") from None
    except UnicodeDecodeError as error:
        raise CatalogError(f"{file} is not UTF-8 text: byte {error.start}") from None
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        raise CatalogError(f"{file} is not TOML: {error}") from None


def read_tables(
    file: Path,
    data: Mapping[str, Any],
    table: str,
    kind: type[EntryT],
    known_of: Mapping[str, Mapping[str, Any]] = _NOTHING,
) -> Table[EntryT]:
    """known_of: by key, fields that count for more than those in the file."""
    result: Table[EntryT] = Table()
    known = {table, *_BESIDE.get(table, ())}
    for key in sorted(data.keys() - known):
        hint = _nearest(key, sorted(known))
        reason = f"unknown key: only {_listed(sorted(known))} may be at the top level{hint}"
        result.problems.append(Problem(str(file), key, reason))
    tables = data.get(table, {})
    if not isinstance(tables, dict):
        reason = f"must be tables such as [{table}.my-key], got {tables!r:.40}"
        result.problems.append(Problem(str(file), table, reason))
        return result
    result.tables = tables
    for key, fields in tables.items():
        try:
            result.entries[key] = _entry(key, fields, table, kind, known_of.get(key, _NOTHING))
        except ValueError as error:
            reason = explain(error) if isinstance(error, ValidationError) else str(error)
            result.problems.append(Problem(str(file), key, reason))
    return result


def _entry(
    key: str, fields: object, table: str, kind: type[EntryT], known: Mapping[str, Any]
) -> EntryT:
    if not isinstance(fields, dict):
        raise ValueError(f"must be a table [{table}.{key}], got {fields!r:.40}")
    if "key" in fields:
        raise ValueError("key is not a known field: the key is in the table's heading")
    unknown = next((name for name in fields if name not in kind.model_fields), None)
    if unknown is not None:
        if isinstance(fields[unknown], dict):
            raise ValueError(f'a key with a dot needs quotes: [{table}."{key}.{unknown}"]')
        hint = _nearest(unknown, kind.model_fields.keys())
        raise ValueError(f"{unknown} is not a known field{hint}")
    return kind.model_validate({"key": key, **fields, **known})


def place_of(fields: object) -> tuple[str, str | None, str | None] | None:
    """The `path`, `weight_name` and `revision` of a raw table, as far as they are texts; None for
    one without a path."""
    if not isinstance(fields, dict) or not isinstance(path := fields.get("path"), str):
        return None
    name, revision = fields.get("weight_name"), fields.get("revision")
    return (
        path,
        name if isinstance(name, str) else None,
        revision if isinstance(revision, str) else None,
    )


def _nearest(word: str, known: Collection[str]) -> str:
    near = process.extractOne(word, known, scorer=fuzz.ratio, score_cutoff=SIMILAR)
    return f" (did you mean {near[0]}?)" if near else ""


def _listed(words: list[str]) -> str:
    return " and ".join(words)
