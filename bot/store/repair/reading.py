"""Reads what is left of a damaged database."""

import json
import sqlite3
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum, auto
from graphlib import TopologicalSorter
from typing import Final, TypeAlias

from bot.store.personal.rows import JSON_COLUMNS

Value: TypeAlias = int | float | str | bytes | None
Values: TypeAlias = tuple[Value, ...]

STEP_MAX: Final = 4096
"""The most row ids to skip at once after a row that cannot be read."""
INDEXING: Final = frozenset({"history_entries", "history_progress"})
"""Tables that say what is in the index of prompts: empty, as the index is, until the bot has made
both anew."""


@dataclass(frozen=True, slots=True)
class Table:
    """key: the columns of the primary key, in its order. refers: a column, and the table and the
    column that it refers to. nullable: columns that may be NULL. by_key: whether rows are kept by
    their key and have no row id."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    refers: tuple[tuple[str, str, str], ...]
    nullable: frozenset[str]
    by_key: bool


def tables_of(connection: sqlite3.Connection) -> list[Table]:
    """The tables whose rows are to be saved, in an order in which a row's references come first.

    All but those that SQLite or the index of prompts keep for themselves: a new table is among them
    without being named anywhere.
    """
    found = {
        name: _table(connection, name, by_key=bool(without_row_id))
        for schema, name, kind, _, without_row_id, _ in connection.execute("PRAGMA table_list")
        if schema == "main" and kind == "table" and not name.startswith("sqlite_")
        if name not in INDEXING
    }
    sorter = TopologicalSorter(
        {
            # What became of a job tells what became of its person.
            table.name: ({other for _, other, _ in table.refers} | {"jobs"}) - {table.name}
            for table in found.values()
        }
    )
    return [found[name] for name in sorter.static_order() if name in found]


def _table(connection: sqlite3.Connection, name: str, *, by_key: bool) -> Table:
    columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
    keys = sorted((key, column) for _, column, _, _, _, key in columns if key)
    references = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
    return Table(
        name,
        columns=tuple(column[1] for column in columns),
        key=tuple(column for _, column in keys),
        refers=tuple((each[3], each[2], each[4]) for each in references),
        nullable=frozenset(column[1] for column in columns if not column[3] and not column[5]),
        by_key=by_key,
    )


def columns_of(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    """Empty if there is no such table."""
    return tuple(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))


def rows_of(
    old: sqlite3.Connection, table: Table, columns: Sequence[str]
) -> Generator[Values, None, None]:
    """The rows that can be read; those that can be reached from both ends come twice.

    columns: what is wanted of them.
    """
    walk = _by_key if table.by_key else _by_row_id
    for ascending in (True, False):
        if (yield from walk(old, table, ", ".join(columns), ascending=ascending)):
            return


def _by_row_id(
    old: sqlite3.Connection, table: Table, names: str, *, ascending: bool
) -> Generator[Values, None, bool]:
    """Unreadable rows are skipped in steps that double each time. Returns whether there were
    none."""
    compare, order, sign = (">=", "ASC", 1) if ascending else ("<=", "DESC", -1)
    at = 0 if ascending else 2**62
    step, complete = 1, True
    while True:
        try:
            row = old.execute(
                f"SELECT rowid, {names} FROM {table.name} WHERE rowid {compare} ?"  # noqa: S608
                f" ORDER BY rowid {order} LIMIT 1",
                (at,),
            ).fetchone()
        except sqlite3.DatabaseError:
            complete = False
            # Going down from the highest possible id, there is no row yet to skip from.
            if step > STEP_MAX or abs(at) > 2**60:
                return False
            at += sign * step
            step *= 2
            continue
        if row is None:
            return complete
        yield tuple(row[1:])
        at, step = row[0] + sign, 1


def _by_key(
    old: sqlite3.Connection, table: Table, names: str, *, ascending: bool
) -> Generator[Values, None, bool]:
    """Up to the first that cannot be read: which key is beyond it is not known. Returns whether
    there was none."""
    compare, order = (">", "ASC") if ascending else ("<", "DESC")
    key = ", ".join(table.key)
    ordered = ", ".join(f"{column} {order}" for column in table.key)
    at: Values = ()
    while True:
        beyond = f" WHERE ({key}) {compare} ({_marks(at)})" if at else ""
        try:
            row = old.execute(
                f"SELECT {key}, {names} FROM {table.name}{beyond} ORDER BY {ordered} LIMIT 1",  # noqa: S608
                at,
            ).fetchone()
        except sqlite3.DatabaseError:
            return False
        if row is None:
            return True
        at = tuple(row[: len(table.key)])
        yield tuple(row[len(table.key) :])


class Fate(Enum):
    """What became of a row that a backup has, as far as the damaged file can tell."""

    KEPT = auto()
    DELETED = auto()
    UNKNOWN = auto()


def fate_of(old: sqlite3.Connection, table: str, key: Sequence[str], values: Values) -> Fate:
    """By the index of the primary key, which often can be read where the row cannot."""
    wanted = " AND ".join(f"{column} = ?" for column in key)
    with suppress(sqlite3.DatabaseError):
        row = old.execute(
            f"SELECT {', '.join(key)} FROM {table} WHERE {wanted}",  # noqa: S608
            values,
        ).fetchone()
        return Fate.DELETED if row is None else Fate.KEPT
    return Fate.UNKNOWN


def row_of(old: sqlite3.Connection, table: Table, values: Values) -> Values | None:
    """A row that is not reached from either end; None if it cannot be read.

    values: of its key.
    """
    wanted = " AND ".join(f"{column} = ?" for column in table.key)
    with suppress(sqlite3.DatabaseError):
        row: Values | None = old.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} WHERE {wanted}",  # noqa: S608
            values,
        ).fetchone()
        return row
    return None


def insert(new: sqlite3.Connection, table: Table, columns: Sequence[str], row: Values) -> bool:
    """Whether the row is sound and was not there yet."""
    if not _readable(dict(zip(columns, row, strict=True))):
        return False
    # A value of the wrong type for its STRICT column is damage too.
    with suppress(sqlite3.IntegrityError):
        return bool(
            new.execute(
                f"INSERT OR IGNORE INTO {table.name} ({', '.join(columns)})"  # noqa: S608
                f" VALUES ({_marks(row)})",
                row,
            ).rowcount
        )
    return False


def _readable(row: dict[str, Value]) -> bool:
    """Whether its JSON can be parsed."""
    try:
        for name in JSON_COLUMNS & row.keys():
            if row[name] is not None:
                json.loads(str(row[name]))
    except ValueError:
        return False
    return True


def _marks(values: Sequence[Value]) -> str:
    return ", ".join("?" * len(values))
