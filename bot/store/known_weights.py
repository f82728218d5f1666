"""Known weights: the hashes of what was used lately, from the recipes of jobs."""

import json
import re
from typing import Final

from bot.recipe import Weights
from bot.request.hashes import Hashes
from bot.store.database import Database

RECENT: Final = 200
"""Jobs that are looked at."""
_HASH: Final = re.compile(r"(?<![0-9A-Za-z])[0-9A-Fa-f]{8,64}(?![0-9A-Za-z])")


class KnownWeights:
    """The recipes in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def environment(self) -> dict[str, str]:
        """What the latest image was generated with; empty if that is not known."""
        row = await self._database.row(
            "SELECT json_extract(recipe, '$.environment') AS environment FROM jobs"
            " WHERE state IN ('done', 'delivered') AND started_at IS NOT NULL"
            " AND json_valid(recipe) ORDER BY started_at DESC LIMIT 1"
        )
        found = _parsed(row["environment"]) if row else None
        return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}

    async def hashes(self, *texts: str | None) -> Hashes:
        """The hashes by which these texts may name a model or LoRA.

        Empty where nothing in them looks like a hash, as nearly always: no query then.
        """
        if not any(text and _HASH.search(text) for text in texts):
            return {}
        return {
            key: (weights.sha256, weights.short) for key, weights in (await self.recent()).items()
        }

    async def recent(self) -> dict[str, Weights]:
        """The checkpoints and adapters of the latest jobs, by catalog key, as last used."""
        rows = await self._database.rows(
            "SELECT json_extract(recipe, '$.checkpoint') AS checkpoint,"
            " json_extract(recipe, '$.adapters') AS adapters FROM"
            " (SELECT recipe FROM jobs WHERE state IN ('done', 'delivered')"
            " AND started_at IS NOT NULL ORDER BY started_at DESC LIMIT ?)"
            " WHERE json_valid(recipe)",
            (RECENT,),
        )
        known: dict[str, Weights] = {}
        for row in reversed(rows):
            adapters = _parsed(row["adapters"])
            used = [_parsed(row["checkpoint"]), *(adapters if isinstance(adapters, list) else ())]
            for weights in filter(None, map(_weights, used)):
                known[weights.name] = weights
        return known


def _parsed(value: object) -> object:
    """What SQLite gives for an object or a list in JSON; None for anything else."""
    try:
        return json.loads(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _weights(data: object) -> Weights | None:
    """None for what can no longer be read: the hash is unknown then."""
    try:
        return Weights(**data) if isinstance(data, dict) else None
    except TypeError:
        return None
