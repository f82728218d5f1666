"""Which jobs refer to input images; see bot.files.inputs."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from typing import Final

from bot.store.database import Database, Row
from bot.store.input_paths import INPUT_PATHS

PAGE = 500
"""How many images to ask for at once."""
_USE: Final = """
    SELECT json_extract(request, '{0}') AS sha256, state, finished_at, created_at
    FROM jobs WHERE json_valid(request)
        AND json_extract(request, '{0}') IN (SELECT value FROM json_each(:images))
"""
_USES: Final = """
SELECT sha256, max(state IN ('pending', 'running', 'done')) AS needed,
       max(state != 'cancelled') AS wanted, max(coalesce(finished_at, created_at)) AS ended_at
FROM ({})
GROUP BY sha256
""".format("UNION ALL".join(map(_USE.format, INPUT_PATHS)))


@dataclass(frozen=True, slots=True)
class InputUse:
    """What the jobs that refer to an input image need of it.

    needed: one of them has not been delivered yet. wanted: one of them was not cancelled, so it
    may be generated again. ended_at: when the last of them ended, or was asked for if it has not,
    in milliseconds since the epoch.
    """

    sha256: str
    needed: bool
    wanted: bool
    ended_at: int

    @classmethod
    def from_row(cls, row: Row) -> "InputUse":
        return cls(row["sha256"], bool(row["needed"]), bool(row["wanted"]), row["ended_at"])


class InputUses:
    """The input images that jobs in the store refer to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_all(self, images: Collection[str]) -> dict[str, InputUse]:
        """By sha256, without those that no job refers to. images: their sha256.

        They are asked for a few at a time, so that nothing else has to wait for all of them.
        """
        left, found = iter(images), dict[str, InputUse]()
        while page := list(islice(left, PAGE)):
            rows = await self._database.rows(_USES, {"images": json.dumps(page)})
            found |= {row["sha256"]: InputUse.from_row(row) for row in rows}
        return found

    async def of(self, sha256: str) -> InputUse | None:
        """None if no job refers to it."""
        return (await self.of_all([sha256])).get(sha256)
