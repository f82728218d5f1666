"""The tables of models in the catalog, each read as its own family's.

Only a model's files say which bounds and defaults its entry has, and which schedulers fit it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from catalog.dropins import named
from catalog.families import FAMILIES
from catalog.headers import HeaderCache
from catalog.judging import Told, judged, told
from catalog.schedulers import FITTING, narrowed
from catalog.schema import ModelEntry, explain
from catalog.snapshot import Problem
from catalog.tables import Table, place_of, read_tables
from catalog.unread import NotReadYet, Unread


@dataclass(slots=True)
class Models(Table[ModelEntry]):
    """written: the valid entries, with those whose files are read later."""

    written: tuple[ModelEntry, ...] = field(default=())


def read_models(
    file: Path,
    data: Mapping[str, Any],
    models_dir: Path,
    headers: HeaderCache,
    *,
    demos_first: bool = False,
) -> tuple[Models, list[Unread]]:
    """The models of one TOML file, and the files that are read later; without their entries.

    file: where `data` are from. headers: updated. demos_first: a demo is the default.
    Raises OSError if one may be told later.
    """
    tables = data.get("models", {})
    tables = tables if isinstance(tables, dict) else {}

    def first(key: str) -> tuple[bool, bool]:
        """The default first: it is the one that most requests wait for."""
        demo = isinstance(tables[key], dict) and tables[key].get("demo") is True
        return not (demos_first and demo), key != data.get("default")

    order = sorted(tables, key=first)
    said, later = _said(tables, order, models_dir, headers)
    families = {key: _known(each, tables[key]) for key, each in said.items() if each.family}
    table = read_tables(file, data, "models", ModelEntry, families)
    models = Models(table.entries, table.tables, table.problems, (*table.entries.values(),))
    # Of which family they are is not known.
    models.problems = [each for each in models.problems if each.key not in later]
    _contradictions(file, models, said)
    _complete(file, models, said)
    return models, _put_off(models, order, later, models_dir, headers)


def _known(said: Told, written: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an entry that only the files of its model say, or that nobody has `written`."""
    known = {} if said.variant is None or "variant" in written else {"variant": said.variant}
    if said.family is None or written.get("family", said.family.key) not in [*FAMILIES]:
        return known  # what is no family is left for the entry to refuse
    return {"family": said.family.key, **known}


def _said(
    tables: Mapping[str, Any], order: Sequence[str], models_dir: Path, headers: HeaderCache
) -> tuple[dict[str, Told], dict[str, Unread]]:
    """What the files of each table say, by key; and the files that are read later."""
    said: dict[str, Told] = {}
    later: dict[str, Unread] = {}
    for key in order:
        if place := place_of(tables[key]):
            path, name, revision = place
            try:
                said[key] = told(path, models_dir, headers, name, revision)
            except NotReadYet as waits:
                later[key] = waits.unread
    return said, later


def _contradictions(file: Path, models: Models, said: Mapping[str, Told]) -> None:
    """Leave out the entries whose `family` is not that of their files."""
    for key, fields in models.tables.items():
        stated = fields.get("family") if isinstance(fields, dict) else None
        family = said[key].family if key in said else None
        if family and stated and stated != family.key and key in models.entries:
            reason = f'family is "{stated}", but it is a {family.name} model ("{family.key}")'
            models.problems.append(Problem(str(file), key, reason))
            del models.entries[key]


def _complete(file: Path, models: Models, said: Mapping[str, Told]) -> None:
    """Add to the entries what only the files of their models say: which schedulers fit."""
    for key, entry in [*models.entries.items()]:
        trained = _trained(entry, said[key]) if key in said else {}
        if not trained:
            continue
        try:
            written = models.tables[key]
            known = {**_known(said[key], written), "family": entry.family}
            models.entries[key] = ModelEntry.model_validate(
                {"key": key, **written, **known, **trained}
            )
        except ValidationError as error:
            prediction = trained["prediction"]
            what = (
                f"its prediction is {prediction}"
                if prediction in FITTING
                else "it was trained with zero terminal SNR"
            )
            reason = f"its files say that {what}, but {explain(error)}"
            models.problems.append(Problem(str(file), key, reason))
            del models.entries[key]


def _trained(entry: ModelEntry, said: Told) -> dict[str, Any]:
    """How a model was trained by its entry or else its files, where the latter say that not all
    schedulers fit it."""
    own = entry.prediction, entry.zero_terminal_snr
    prediction = said.prediction if entry.prediction is None else entry.prediction
    zero_snr = said.zero_snr if entry.zero_terminal_snr is None else entry.zero_terminal_snr
    if own == (prediction, zero_snr) or not narrowed(prediction, zero_snr):
        return {}
    return {"prediction": prediction, "zero_terminal_snr": zero_snr}


def _put_off(
    models: Models,
    order: Sequence[str],
    later: Mapping[str, Unread],
    models_dir: Path,
    headers: HeaderCache,
) -> list[Unread]:
    """Take out the entries whose files are read later, and tell which files those are.

    later: those that are known already; others may be of one of a model's networks.
    """
    known = (models.entries[key] for key in order if key in models.entries and key not in later)
    others = judged(known, models_dir, headers).later
    unread = []
    for key in order:
        if (waits := later.get(key)) is not None:
            names = [models.entries[key].name] if key in models.entries else []
            unread.append(named(waits, waits.file.stem, key, *names))
        elif key in others:
            unread.append(others[key])
        else:
            continue
        models.entries.pop(key, None)
    return unread
