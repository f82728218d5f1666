"""All rows of one person, for an export: as they are stored, with JSON read."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bot.store.database import Database, Row
from bot.store.personal.span import Span

PAGE: Final = 200
JSON_COLUMNS: Final = frozenset(
    {"request", "recipe", "error", "warnings", "options", "settings", "entered", "details"}
)
Record = dict[str, Any]

_JOBS = """
SELECT rowid AS number, * FROM jobs
WHERE person = :person AND created_at >= :since AND created_at < :until
    AND (created_at, rowid) < (:created_at, :number)
ORDER BY created_at DESC, rowid DESC LIMIT :page
"""
_OF_JOBS: Final = {
    "asked": "SELECT * FROM discord_jobs WHERE job_id IN (SELECT value FROM json_each(?))",
    "images": "SELECT * FROM images WHERE job_id IN (SELECT value FROM json_each(?))"
    " ORDER BY job_id, n",
}
TABLES: Final = {
    "favourites": "SELECT * FROM favourites WHERE person = :person"
    " AND kept_at >= :since AND kept_at < :until ORDER BY kept_at",
    "presets": "SELECT * FROM presets WHERE person = :person"
    " AND saved_at >= :since AND saved_at < :until ORDER BY saved_at",
    "level_settings": "SELECT * FROM level_settings WHERE level = 'person' AND place = :person",
    "forms": "SELECT * FROM forms WHERE person = :person"
    " AND made_at >= :since AND made_at < :until ORDER BY made_at",
    # Who decided, acted or blocked is somebody else, who is not theirs to know.
    "reports": "SELECT id, job_id, reporter, reason, made_at, decision, decided_at, shown"
    " FROM reports"
    " WHERE reporter = :person AND made_at >= :since AND made_at < :until ORDER BY made_at",
    "acts": "SELECT id, at, community, iif(actor = :person, actor, NULL) AS actor, kind, subject,"
    " iif(actor = :person, details, NULL) AS details, told_at FROM acts"
    " WHERE (actor = :person OR subject = :person) AND at >= :since AND at < :until ORDER BY id",
    "blocks": "SELECT kind, blocked, within, at FROM blocks"
    " WHERE kind = 'person' AND blocked = :person",
    "blocked_words": "SELECT community, text, kind, action, added_by, added_at FROM blocked_words"
    " WHERE added_by = :person AND added_at >= :since AND added_at < :until ORDER BY added_at",
    "disabled_entries": "SELECT kind, name, actor, at FROM disabled_entries"
    " WHERE actor = :person AND at >= :since AND at < :until ORDER BY at",
    "sent_again": "SELECT sent_again.* FROM jobs CROSS JOIN sent_again ON job_id = jobs.id"
    " WHERE person = :person AND created_at >= :since AND created_at < :until",
    "quota_resets": "SELECT quota_resets.* FROM jobs CROSS JOIN quota_resets ON job_id = jobs.id"
    " WHERE person = :person AND created_at >= :since AND created_at < :until",
}
"""What belongs to no job, by table."""


@dataclass(frozen=True, slots=True)
class JobRows:
    """A job as it is stored; `asked`: where on Discord. images: without what is in the files."""

    job: Record
    asked: Record | None
    images: tuple[Record, ...]

    @property
    def inputs(self) -> tuple[str, ...]:
        """sha256 of the images that it was made from."""
        request = self.job["request"]
        if not isinstance(request, dict):
            return ()
        parts = (request.get(name) for name in ("init_image", "reference", "upscale", "describe"))
        shas = [part.get("sha256") for part in parts if isinstance(part, dict)]
        if isinstance(init := request.get("init_image"), dict):
            shas.append(init.get("mask"))
        if isinstance(controls := request.get("controls"), list):
            shas += [use.get("sha256") for use in controls if isinstance(use, dict)]
        if isinstance(pictures := request.get("pictures"), list):
            shas += pictures
        return tuple(sha256 for sha256 in shas if isinstance(sha256, str))

    def record(self) -> Record:
        """As it is exported."""
        return {**self.job, "asked": self.asked, "images": list(self.images)}


async def jobs_of(database: Database, person: str, span: Span) -> AsyncIterator[list[JobRows]]:
    """The jobs of `person`, latest first, at most PAGE at a time."""
    last = {"created_at": span.until, "number": 0}
    while True:
        rows = await database.rows(
            _JOBS,
            {"person": person, "since": span.since, "until": span.until, "page": PAGE, **last},
        )
        if not rows:
            return
        last = {"created_at": rows[-1]["created_at"], "number": rows[-1]["number"]}
        those = json.dumps([row["id"] for row in rows])
        asked, images = [await database.rows(sql, (those,)) for sql in _OF_JOBS.values()]
        yield await asyncio.to_thread(_together, rows, asked, images)


def _together(rows: Sequence[Row], asked: Sequence[Row], images: Sequence[Row]) -> list[JobRows]:
    places = {row["job_id"]: _record(row) for row in asked}
    files: dict[str, list[Record]] = {}
    for row in images:
        files.setdefault(row["job_id"], []).append(_record(row))
    return [
        JobRows(_record(row), places.get(row["id"]), tuple(files.get(row["id"], ())))
        for row in rows
    ]


async def rest_of(database: Database, person: str, span: Span) -> dict[str, list[Record]]:
    """What else is stored of `person`, by table."""
    values = {"person": person, "since": span.since, "until": span.until}
    found = {table: await database.rows(sql, values) for table, sql in TABLES.items()}
    return await asyncio.to_thread(
        lambda: {table: [_record(row) for row in rows] for table, rows in found.items()}
    )


def _record(row: Row) -> Record:
    """The columns by name; JSON is read, unless it is damaged."""
    return {name: _value(name, row[name]) for name in row.keys() if name != "number"}  # noqa: SIM118


def _value(name: str, value: Any) -> Any:
    if name not in JSON_COLUMNS or value is None:
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
