"""Styles in files: `styles.toml`, and in the folder `styles/` those of other programs.

`*.csv` are files as AUTOMATIC1111 writes them (`name,prompt,negative_prompt`), `*.json` such as
Fooocus has (a list of objects with these names). In both, `{prompt}` stands for what is typed, and
without it the style's words follow. A style that cannot be used is left out and becomes a problem.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from catalog.disk import FileStamp, file_stamp, may_pass, names_in, reason_of
from catalog.limits import NAME_MAX
from catalog.lines import clean_line
from catalog.schema import StyleEntry, explain
from catalog.search import fold
from catalog.snapshot import Problem
from catalog.style_index import Styles
from catalog.tables import is_there, parsed, read_tables

STYLES_FILE: Final = "styles.toml"
STYLES: Final = "styles"
"""The folder, beside the TOML files. Both may be absent."""
FILE_MAX: Final = 4 * 2**20
"""Bytes of one file."""
STYLES_MAX: Final = 5_000
"""Of all files together."""
PLACE: Final = "{prompt}"


@dataclass(frozen=True, slots=True)
class _Read:
    """What one file has. places: where each style is in it, by its key, for errors."""

    entries: tuple[StyleEntry, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class _Item:
    """What may be a style. place: where it is in its file. wrong: why it is none."""

    place: str
    name: object = None
    prompt: object = None
    negative: object = None
    wrong: str = ""


class _Wrong(ValueError):
    """A file, or the rest of it, cannot be used; the text says why."""


@dataclass(slots=True)
class StyleReader:
    """Reads the styles of a catalog folder, each file of the folder only when it has changed."""

    catalog_dir: Path
    _kept: dict[FileStamp, _Read] = field(default_factory=dict)

    def stamps(self) -> tuple[FileStamp, ...]:
        """What changes when a file does. Blocks; never raises."""
        file = self.catalog_dir / STYLES_FILE
        try:
            return (file_stamp(file), *self._listed())
        except OSError:
            return ()

    def read(self) -> tuple[Styles, tuple[Problem, ...]]:
        """Blocks. Raises CatalogError if the TOML file cannot be used, and OSError if a file may be
        read later."""
        file = self.catalog_dir / STYLES_FILE
        table = read_tables(file, parsed(file) if is_there(file) else {}, "styles", StyleEntry)
        problems = [*table.problems]
        entries: list[StyleEntry] = []
        taken: dict[str, str] = {}
        own = _Read(tuple(table.entries.values()))
        kept = {stamp: self._kept.get(stamp) or _read(Path(stamp[0])) for stamp in self._listed()}
        self._kept = kept
        files = [(str(file), own), *((stamp[0], read) for stamp, read in kept.items())]
        for path, read in files:
            problems += read.problems
            for entry in read.entries:
                names = {fold(entry.key), fold(entry.name)}
                at = f"{read.places[entry.key]}: " if entry.key in read.places else ""
                if other := next((taken[name] for name in names if name in taken), None):
                    reason = f"{at}there is a style of this name in {other} already"
                elif len(entries) >= STYLES_MAX:
                    reason = f"{at}with it, there are more than {STYLES_MAX:,} styles"
                else:
                    taken |= dict.fromkeys(names, Path(path).name)
                    entries.append(entry)
                    continue
                problems.append(Problem(path, entry.key, reason))
        return Styles(entries), tuple(problems)

    def _listed(self) -> Iterator[FileStamp]:
        """The files of the folder, sorted. Raises OSError if it may be listed later."""
        folder = self.catalog_dir / STYLES
        try:
            names = names_in(folder)
        except OSError as error:
            if may_pass(error):
                raise
            return
        for name in names:
            if name.lower().endswith(tuple(_READERS)) and not name.startswith("."):
                yield file_stamp(folder / name)


def _read(path: Path) -> _Read:
    """Raises OSError if the file may be read later."""
    entries: dict[str, StyleEntry] = {}
    places: dict[str, str] = {}
    problems: list[Problem] = []
    try:
        for item in _READERS[path.suffix.lower()](_text(path)):
            try:
                if (entry := _entry(item)) is None:
                    continue
                if entry.key in entries:
                    raise _Wrong(f"there is a style of this name at {places[entry.key]} already")
            except ValueError as error:
                reason = explain(error) if isinstance(error, ValidationError) else str(error)
                key = clean_line(str(item.name or ""), NAME_MAX)
                problems.append(Problem(str(path), key, f"{item.place}: {reason}"))
            else:
                entries[entry.key] = entry
                places[entry.key] = item.place
    except _Wrong as error:
        problems.append(Problem(str(path), "", str(error)))
    return _Read(tuple(entries.values()), places, tuple(problems))


def _entry(item: _Item) -> StyleEntry | None:
    """None for a heading, which such files have to sort long lists, and for "None".

    Raises ValueError if it is no style.
    """
    if item.wrong:
        raise _Wrong(item.wrong)
    name, prompt, negative = item.name or "", item.prompt or "", item.negative or ""
    if isinstance(name, str):
        name = " ".join(name.split())
        if name.startswith("#") or (name and not prompt and not negative):
            return None
    if negative and isinstance(negative, str) and PLACE not in negative:
        # There, the words of both count.
        negative = f"{PLACE}, {negative}"
    return StyleEntry.model_validate(
        {"key": name, "name": name, "prompt": prompt, "negative": negative}
    )


def _text(path: Path) -> str:
    try:
        if (size := path.stat().st_size) > FILE_MAX:
            raise _Wrong(f"it has {size:,} bytes; {FILE_MAX:,} are allowed")
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        if may_pass(error):
            raise
        raise _Wrong(f"it cannot be read: {reason_of(error)}") from None
    except UnicodeDecodeError as error:
        raise _Wrong(f"it is not UTF-8 text: byte {error.start}") from None


def _rows(text: str) -> Iterator[_Item]:
    """The rows of a CSV file. Raises _Wrong."""
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True)
    begin = 1
    try:
        columns = [name.strip() for name in reader.fieldnames or ()]
        words = "prompt" if "prompt" in columns else "text"  # as early versions called it
        if "name" not in columns or words not in columns:
            raise _Wrong("its first line has to be name,prompt,negative_prompt")
        reader.fieldnames = columns
        begin = reader.line_num + 1
        for row in reader:
            place, begin = f"line {begin}", reader.line_num + 1
            many = "it has too many values: put a text with commas in double quotes"
            yield _Item(
                place,
                row["name"],
                row[words],
                row.get("negative_prompt"),
                wrong=many if None in row else "",
            )
    except csv.Error as error:
        raise _Wrong(f"line {begin}: it is not CSV from here on: {error}") from None


def _objects(text: str) -> Iterator[_Item]:
    """The objects of a JSON file. Raises _Wrong."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise _Wrong(f"line {error.lineno}: it is not JSON: {error.msg}") from None
    except (RecursionError, ValueError) as error:
        raise _Wrong(f"it is not JSON: {error}") from None
    if not isinstance(data, list):
        raise _Wrong('it has to be a list: [{"name": "…", "prompt": "…", "negative_prompt": "…"}]')
    for number, each in enumerate(data, 1):
        place = f"style {number}"
        if isinstance(each, dict):
            yield _Item(place, each.get("name"), each.get("prompt"), each.get("negative_prompt"))
        else:
            wrong = f'it has to be an object with "name" and "prompt", got {each!r:.40}'
            yield _Item(place, wrong=wrong)


_READERS: Final[Mapping[str, Callable[[str], Iterator[_Item]]]] = {".csv": _rows, ".json": _objects}
