"""Scripts that made the shipped files; nothing here runs with the bot."""

from bot.engine.importing import hide_torchvision

hide_torchvision()  # some of these import diffusers themselves
