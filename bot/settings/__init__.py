"""Settings: what the owner can set, read from the environment and `.env`, validated at start.

`make docs` writes `.env.example` and `docs/settings.md` from the class `Settings`.
"""

from bot.settings.settings import (
    DISCORD_API_URL,
    ENV_FILE,
    SHARED,
    Settings,
    described,
    names_of,
)

__all__ = ["DISCORD_API_URL", "ENV_FILE", "SHARED", "Settings", "described", "names_of"]
