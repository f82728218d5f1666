"""What servers, channels and people have set, as JSON objects; bot.levels knows what they mean."""

import json
import logging
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from bot.store.acts import ActKind, Acts, insert_act
from bot.store.database import Database
from bot.store.jobs import now_ms

log = logging.getLogger(__name__)

LevelKey: TypeAlias = tuple[str, str]
"""`server`, `channel` or `person`; and which: `discord:` and its ID."""

_FIND = "SELECT settings FROM level_settings WHERE level = ? AND place = ?"
_KEEP = (
    "INSERT INTO level_settings (level, place, community, settings, changed_at)"
    " VALUES (?, ?, ?, ?, ?) ON CONFLICT (level, place)"
    " DO UPDATE SET settings = excluded.settings, changed_at = excluded.changed_at"
)
_FORGET = "DELETE FROM level_settings WHERE level = ? AND place = ?"


@dataclass(frozen=True, slots=True)
class LevelChange:
    """What was set before and what is set now, of everything at that level."""

    before: Mapping[str, Any]
    after: Mapping[str, Any]


class LevelSettings:
    """One JSON object for each server, channel and person that has set anything."""

    def __init__(self, database: Database, acts: Acts) -> None:
        self._database = database
        self._acts = acts

    async def of(self, keys: Collection[LevelKey]) -> dict[LevelKey, dict[str, Any]]:
        """What is set at each of these, in one query; those where nothing is set are left out."""
        if not keys:
            return {}
        terms = " UNION ALL ".join(
            "SELECT level, place, settings FROM level_settings WHERE level = ? AND place = ?"
            for _ in keys
        )
        rows = await self._database.rows(terms, [text for key in keys for text in key])
        return {(row["level"], row["place"]): _read(row["settings"]) for row in rows}

    async def change(
        self,
        key: LevelKey,
        community: str | None,
        changes: Mapping[str, Any],
        actor: str,
        unsaid: Collection[str] = (),
    ) -> LevelChange:
        """Set the fields in `changes`, and reset those that are None; the others stay as they are.

        community: the server that the level belongs to; None for a person. actor: who changes it,
        for the act that is recorded. unsaid: fields whose values the act does not say.
        Reads and writes in one transaction, so that changes of different fields at the same time
        are all kept.
        """
        work = partial(_change, key, community, dict(changes), actor, unsaid)
        change = await self._database.write(work)
        self._acts.recorded()
        return change

    async def keep_days(self) -> dict[str, float]:
        """For how many days each server keeps images, where that is set."""
        rows = await self._database.rows(
            "SELECT place, json_extract(settings, '$.keep_days') AS days FROM level_settings"
            " WHERE level = 'server' AND json_extract(settings, '$.keep_days') IS NOT NULL"
        )
        return {row["place"]: float(row["days"]) for row in rows}

    async def listing(self, names: Collection[str]) -> dict[LevelKey, dict[str, Any]]:
        """What is set by each server and channel that has set one of the fields `names`."""
        rows = await self._database.rows(
            "SELECT level, place, settings FROM level_settings WHERE level IN ('server', 'channel')"
            " AND EXISTS (SELECT 1 FROM json_each(iif(json_valid(settings), settings, '{}'))"
            " WHERE key IN (SELECT value FROM json_each(?)))",
            (json.dumps([*names]),),
        )
        return {(row["level"], row["place"]): _read(row["settings"]) for row in rows}

    async def forget(self, key: LevelKey) -> None:
        """Reset everything that is set there."""
        await self._database.write(lambda write: write.execute(_FORGET, key))


def _change(
    key: LevelKey,
    community: str | None,
    changes: dict[str, Any],
    actor: str,
    unsaid: Collection[str],
    write: sqlite3.Connection,
) -> LevelChange:
    row = write.execute(_FIND, key).fetchone()
    before = _read(row["settings"]) if row else {}
    merged = {**before, **changes}
    after = {name: value for name, value in merged.items() if value is not None}
    if after:
        text = json.dumps(after, ensure_ascii=False, sort_keys=True)
        write.execute(_KEEP, (*key, community, text, now_ms()))
    else:
        write.execute(_FORGET, key)
    for name in changes:
        if before.get(name) != after.get(name):
            said = () if name in unsaid else (before.get(name), after.get(name))
            _record(write, key, community, actor, name, *said)
    return LevelChange(before, after)


def _record(
    write: sqlite3.Connection,
    key: LevelKey,
    community: str | None,
    actor: str,
    name: str,
    before: Any = None,
    after: Any = None,
) -> None:
    level, place = key
    details = {"level": level, "name": name, "before": _said(before), "after": _said(after)}
    act = insert_act(write, ActKind.SETTING_CHANGED, actor, community, place, details)
    if community is None:
        # What people set for themselves is nobody else's business.
        write.execute("UPDATE acts SET told_at = at WHERE id = ?", (act,))


def _said(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list) else value


def _read(text: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError:
        data = None
    if not isinstance(data, dict):
        log.error("settings of a level cannot be read, so they do not hold")
        return {}
    return data
