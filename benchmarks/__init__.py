"""The figures in docs/figures.md, as scripts that anyone can run."""

import sys

# Some of these import diffusers themselves: see bot.engine.importing.hide_torchvision.
sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]
