"""Which environment variables are meant for the bot.

The environment and `.env` are shared with other programs: names of others pass, while a misspelled
name of a setting would otherwise go unnoticed.
"""

import re
from collections.abc import Collection, Iterable
from typing import Final

from rapidfuzz.distance import OSA

PREFIX: Final = "IMAGEN_"
COMPOSE: Final = frozenset(
    {
        *("IMAGEN_COMMAND", "IMAGEN_UID", "IMAGEN_GID", "IMAGEN_RAM"),
        *("IMAGEN_LOCK", "IMAGEN_BROKER_PASSWORD"),
    }
)
"""Read by deploy/compose.yaml."""
TYPOS_MAX: Final = 2
"""Letters that are missing, added, wrong or swapped in a misspelled name."""

# Kubernetes and old Docker links add these for a service called "imagen" (Kubernetes docs,
# "Environment variables" of a Service).
_SERVICE: Final = re.compile(r"IMAGEN(_\w+)?_(SERVICE_(HOST|PORT)(_\w+)?|PORT(_\d+_(TCP|UDP).*)?)")


def misspelled(
    given: Iterable[str], settings: Collection[str], shared: Collection[str] = ()
) -> list[str]:
    """Those of the variables `given` that look like settings but are none, sorted.

    settings: the names of all settings. shared: those that other programs read as well, so that a
    similar name says nothing.
    """
    names = {name: name.upper() for name in given}
    missing = set(settings) - {*shared, *names.values()}
    return sorted(
        name
        for name, upper in names.items()
        if upper not in settings and upper not in COMPOSE and _looks_like_one(upper, missing)
    )


def _looks_like_one(name: str, missing: Collection[str]) -> bool:
    """missing: the settings that are not set; a variable beside the one it resembles is no typo,
    such as DISCORD_TOKEN2."""
    if name.startswith(PREFIX):
        return not _SERVICE.fullmatch(name)
    return any(OSA.distance(name, known, score_cutoff=TYPOS_MAX) <= TYPOS_MAX for known in missing)
