"""What people entered into forms that were sent back for a mistake, for a day."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from bot.store.database import Database
from bot.store.jobs import new_id, now_ms

KEPT_MS = 24 * 60 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Entered:
    """of: the custom_id of the form. fields: what was entered, by the name of the field."""

    of: str
    fields: Mapping[str, str]


class Forms:
    """The forms that can be opened again as they were."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, person: str, entered: Entered) -> str:
        """Keep what `person` entered; returns the id to find it by."""
        form_id, now = new_id(), now_ms()
        fields = json.dumps(dict(entered.fields), ensure_ascii=False)
        await self._database.write(
            lambda write: write.execute(
                "INSERT INTO forms (id, person, of, entered, made_at) VALUES (?, ?, ?, ?, ?)",
                (form_id, person, entered.of, fields, now),
            )
        )
        return form_id

    async def drop_old(self) -> None:
        """Forget what can no longer be opened: it is what people typed."""
        sql, before = "DELETE FROM forms WHERE made_at < ?", now_ms() - KEPT_MS
        await self._database.write(lambda write: write.execute(sql, (before,)))

    async def find(self, form_id: str, person: str) -> Entered | None:
        """What that person entered; None if it is too old, or somebody else's."""
        row = await self._database.row(
            "SELECT of, entered FROM forms WHERE id = ? AND person = ? AND made_at >= ?",
            (form_id, person, now_ms() - KEPT_MS),
        )
        return Entered(row["of"], json.loads(row["entered"])) if row else None
