"""The figures in docs/figures.md, as scripts that anyone can run."""

from bot.engine.importing import hide_torchvision

hide_torchvision()  # some of these import diffusers themselves
