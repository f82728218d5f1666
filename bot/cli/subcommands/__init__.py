"""The subcommands of `main.py`: each one's arguments, and what runs it.

A module here has `add_to(subparsers)`, which declares the arguments and names the function to run
with `set_defaults(run=...)`: a namespace in, the exit code out. All of them are imported to read
any command line, so a module defers slow imports (discord, the backend) until it runs.
"""

import argparse
from typing import TYPE_CHECKING

from bot import log
from bot.settings import Settings

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001


def settings_for_terminal() -> Settings:
    """Load the settings for a command that prints to the terminal, and log warnings only.

    Raises SettingsError.
    """
    settings = Settings.load()
    log.set_up("WARNING", settings.secrets())
    return settings
