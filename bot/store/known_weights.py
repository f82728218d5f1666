"""Known weights: the hashes of what was used lately, from the recipes of jobs."""

import json
from typing import Final

from bot.recipe import Weights
from bot.store.database import Database

RECENT: Final = 200
"""Jobs that are looked at."""


class KnownWeights:
    """The recipes in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recent(self) -> dict[str, Weights]:
        """The checkpoints and adapters of the latest jobs, by catalog key, as last used."""
        rows = await self._database.rows(
            "SELECT json_extract(recipe, '$.checkpoint') AS checkpoint,"
            " json_extract(recipe, '$.adapters') AS adapters FROM"
            " (SELECT recipe FROM jobs WHERE recipe IS NOT NULL AND json_valid(recipe)"
            " ORDER BY rowid DESC LIMIT ?)",
            (RECENT,),
        )
        known: dict[str, Weights] = {}
        for row in reversed(rows):
            used = (row["checkpoint"], *_items(row["adapters"]))
            for weights in filter(None, map(_weights, used)):
                known[weights.name] = weights
        return known


def _items(text: str | None) -> list[str]:
    found = json.loads(text or "[]")
    return [json.dumps(item) for item in found] if isinstance(found, list) else []


def _weights(text: str | None) -> Weights | None:
    """None for what is no longer readable: the hash is unknown then."""
    try:
        return Weights(**json.loads(text or "{}"))
    except TypeError:
        return None
