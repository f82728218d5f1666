"""main.py, editing the messages of its jobs every twentieth of a second."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from bot.serve import discord_bot

    discord_bot.EDIT_INTERVAL = 0.05  # type: ignore[attr-defined]
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
