"""Blocks: people and servers that may not use the bot, everywhere or in one server."""

import sqlite3
from dataclasses import dataclass
from typing import Literal, Self, TypeAlias, cast

from bot.errors import Refused
from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database, Row
from bot.store.jobs import now_ms

BlockKind: TypeAlias = Literal["person", "server"]
EVERYWHERE = ""
"""`within` of a block by the owner."""


@dataclass(frozen=True, slots=True)
class Block:
    """blocked: a person or server as of a job, such as `discord:7`. within: the server whose
    managers blocked them, or EVERYWHERE. actor: who did. at: in ms."""

    kind: BlockKind
    blocked: str
    within: str
    actor: str
    at: int

    @classmethod
    def from_row(cls, row: Row) -> Self:
        kind = cast("BlockKind", row["kind"])
        return cls(kind, row["blocked"], row["within"], row["actor"], row["at"])


class Blocks:
    """Every change is recorded as an act, in the same transaction."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def add(self, kind: BlockKind, blocked: str, *, within: str, actor: str) -> bool:
        """Block a person or a server; returns False if they were blocked already."""
        return await self._done(
            await self._database.write(
                lambda write: insert_block(write, kind, blocked, within, actor)
            )
        )

    async def remove(self, kind: BlockKind, blocked: str, *, within: str, actor: str) -> bool:
        """Lift a block; returns False if there was none."""

        def delete(write: sqlite3.Connection) -> bool:
            cursor = write.execute(
                "DELETE FROM blocks WHERE kind = ? AND blocked = ? AND within = ?",
                (kind, blocked, within),
            )
            if cursor.rowcount:
                _record(write, ActKind.UNBLOCKED, kind, blocked, within, actor)
            return bool(cursor.rowcount)

        return await self._done(await self._database.write(delete))

    async def all(self) -> list[Block]:
        rows = await self._database.rows("SELECT * FROM blocks")
        return [Block.from_row(row) for row in rows]

    async def within(self, within: str) -> list[Block]:
        """Those of a server's managers, or the owner's; newest first."""
        rows = await self._database.rows(
            "SELECT * FROM blocks WHERE within = ? ORDER BY at DESC", (within,)
        )
        return [Block.from_row(row) for row in rows]

    async def _done(self, changed: bool) -> bool:
        if changed:
            self._acts.recorded()
        return changed


def insert_block(
    write: sqlite3.Connection, kind: BlockKind, blocked: str, within: str, actor: str
) -> bool:
    """Within a transaction: as `Blocks.add`. `Acts.recorded` is to be called after."""
    cursor = write.execute(
        "INSERT INTO blocks (kind, blocked, within, actor, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (kind, blocked, within, actor, now_ms()),
    )
    if cursor.rowcount:
        _record(write, ActKind.BLOCKED, kind, blocked, within, actor)
    return bool(cursor.rowcount)


def check_not_blocked(write: sqlite3.Connection, person: str, community: str | None) -> None:
    """Within the transaction that accepts a job: raise Refused if `person` is blocked there.

    What is known in memory may be a moment behind.
    """
    rows = write.execute(
        "SELECT kind, within FROM blocks WHERE kind = 'person' AND blocked = ?"
        " AND within IN ('', ?) UNION ALL"
        " SELECT kind, within FROM blocks WHERE kind = 'server' AND blocked = ? AND within = ''",
        (person, community, community),
    ).fetchall()
    for row in rows:
        raise Refused(refusal_of(row["kind"], row["within"]))


def refusal_of(kind: BlockKind, within: str) -> str:
    """The code of what one is told who is blocked like this."""
    if kind == "server":
        return "queue.server_blocked"
    return "queue.blocked" if within == EVERYWHERE else "queue.blocked_here"


def _record(
    write: sqlite3.Connection,
    act: ActKind,
    kind: BlockKind,
    blocked: str,
    within: str,
    actor: str,
) -> None:
    insert_act(write, act, actor, within or None, blocked, {"what": kind})
