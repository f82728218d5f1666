"""Settings: what the owner can set, read from the environment and `.env`, validated at start.

`make docs` writes `.env.example` and `docs/settings.md` from the class `Settings`.

settings.py    all of them, and how they are read
values.py      what kinds of values they have, beyond those of pydantic
connection.py, folders.py, models.py, engine.py, limits.py, monitoring.py, api.py, workers.py,
servers.py, privacy.py, broker.py, places.py, results.py    the groups, as the documents list them
"""

from bot.settings.connection import DISCORD_API_URL
from bot.settings.settings import ENV_FILE, SHARED, Settings, described, names_of

__all__ = ["DISCORD_API_URL", "ENV_FILE", "SHARED", "Settings", "described", "names_of"]
