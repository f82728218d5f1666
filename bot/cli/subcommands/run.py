"""`main.py run`, and `main.py` alone: run the bot on Discord."""

import argparse
import sys

from bot.cli.subcommands import Subparsers
from bot.errors import SettingsError, StoreError
from bot.settings import Settings
from catalog import CatalogError


def add_to(subparsers: Subparsers) -> None:
    """Takes no arguments."""
    parser = subparsers.add_parser(
        "run", help="run the bot on Discord (the default; only this and sync need a token)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """The exit code tells a supervisor whether to restart it."""
    from bot.cli.run import run
    from bot.process.restart import exit_code

    try:
        return run(Settings.load(), options.extensions)
    except (SettingsError, StoreError, CatalogError) as error:
        print(error, file=sys.stderr)
        return exit_code(error)
