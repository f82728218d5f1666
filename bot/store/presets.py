"""Presets that people have saved, for themselves or for their server."""

import json
import sqlite3
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Self

from bot.request import Named, Options
from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database, Row
from bot.store.jobs import new_id, now_ms
from catalog.search import fold

OWN_MAX: Final = 50
SHARED_MAX: Final = 100
"""How many a person, and a server, may have."""

# The conditions repeat those of the indexes, or SQLite would not use them.
_OWN: Final = "person = :person AND community IS NULL"
_SHARED: Final = "community = :community AND community IS NOT NULL"
_COLUMNS: Final = "id, person, community, name, options, saved_at"


class Kept(StrEnum):
    """What became of a preset that was to be saved."""

    SAVED = "saved"
    TAKEN = "taken"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class SavedPreset:
    """person: who saved it. community: the server that it is shared with; None: private."""

    id: str
    person: str
    community: str | None
    name: str
    options: Options
    saved_at: int

    @property
    def named(self) -> Named:
        """What a request needs of it."""
        return Named(self.name, self.options)

    @classmethod
    def from_row(cls, row: Row) -> Self:
        return cls(
            id=row["id"],
            person=row["person"],
            community=row["community"],
            name=row["name"],
            options=Options.from_dict(json.loads(row["options"])),
            saved_at=row["saved_at"],
        )


class Presets:
    """The presets in the database. A name identifies one whatever its case and accents.

    What is done to one of a server is an act.
    """

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def of(self, person: str, community: str | None) -> tuple[SavedPreset, ...]:
        """The person's own, by name, then those of the server."""
        rows = await self._database.rows(
            f"SELECT 0 AS shared, folded, {_COLUMNS} FROM presets WHERE {_OWN}"  # noqa: S608
            f" UNION ALL SELECT 1, folded, {_COLUMNS} FROM presets WHERE {_SHARED}"
            " ORDER BY shared, folded",
            {"person": person, "community": community},
        )
        return tuple(map(SavedPreset.from_row, rows))

    async def own(self, person: str, name: str) -> SavedPreset | None:
        """The private one of that name."""
        return await self._one(_OWN, {"person": person}, name)

    async def shared(self, community: str, name: str) -> SavedPreset | None:
        """The server's of that name."""
        return await self._one(_SHARED, {"community": community}, name)

    async def save(
        self,
        person: str,
        name: str,
        options: Options,
        *,
        community: str | None = None,
        replace: bool = False,
    ) -> Kept:
        """Save one for `person`, or for a server. replace: the one of that name, if there is one.

        Which names and values it may have, is up to the caller.
        """
        values: dict[str, Any] = {
            "id": new_id(),
            "person": person,
            "community": community,
            "name": name,
            "folded": fold(name),
            "options": json.dumps(options.given, ensure_ascii=False),
            "now": now_ms(),
        }
        where, most = (_OWN, OWN_MAX) if community is None else (_SHARED, SHARED_MAX)

        def insert(write: sqlite3.Connection) -> Kept:
            same = f"SELECT 1 FROM presets WHERE {where} AND folded = :folded"  # noqa: S608
            if write.execute(same, values).fetchone():
                if not replace:
                    return Kept.TAKEN
                write.execute(
                    f"DELETE FROM presets WHERE {where} AND folded = :folded",  # noqa: S608
                    values,
                )
            count = f"SELECT count(*) FROM presets WHERE {where}"  # noqa: S608
            if write.execute(count, values).fetchone()[0] >= most:
                return Kept.FULL
            write.execute(
                "INSERT INTO presets (id, person, community, name, folded, options, saved_at)"
                " VALUES (:id, :person, :community, :name, :folded, :options, :now)",
                values,
            )
            if community is not None:
                insert_act(write, ActKind.PRESET_SHARED, person, community, name, {})
            return Kept.SAVED

        kept = await self._database.write(insert)
        if community is not None and kept is Kept.SAVED:
            self._acts.recorded()
        return kept

    async def delete(self, preset: SavedPreset, actor: str) -> bool:
        """Whether it was still there. actor: who deletes it."""
        shared = preset.community is not None

        def delete(write: sqlite3.Connection) -> bool:
            sql = "DELETE FROM presets WHERE id = ?"
            deleted = bool(write.execute(sql, (preset.id,)).rowcount)
            if deleted and shared:
                kind = ActKind.PRESET_DELETED
                insert_act(write, kind, actor, preset.community, preset.name, {})
            return deleted

        deleted = await self._database.write(delete)
        if deleted and shared:
            self._acts.recorded()
        return deleted

    async def _one(self, where: str, whose: dict[str, Any], name: str) -> SavedPreset | None:
        row = await self._database.row(
            f"SELECT {_COLUMNS} FROM presets WHERE {where} AND folded = :folded",  # noqa: S608
            {**whose, "folded": fold(name)},
        )
        return SavedPreset.from_row(row) if row else None
