"""Scripts that made the shipped files; nothing here runs with the bot."""

import sys

# Some of these import diffusers themselves: see bot.engine.importing.hide_torchvision.
sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
