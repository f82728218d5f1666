"""`main.py worker`: lend this machine's GPUs to a bot elsewhere."""

import argparse
import sys

from bot.cli.subcommands import Subparsers
from bot.errors import SettingsError, StoreError
from bot.settings import Settings
from catalog import CatalogError


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "worker", help="generate for a bot on another machine, through the broker; needs no token"
    )
    parser.add_argument(
        "--name",
        metavar="NAME",
        help="how the bot calls it: a-z, 0-9 and - (this machine's name)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """The exit code tells a supervisor whether to restart it."""
    from bot.cli.worker import worker
    from bot.process.restart import exit_code

    try:
        return worker(Settings.load(), options.name)
    except (SettingsError, StoreError, CatalogError) as error:
        print(error, file=sys.stderr)
        return exit_code(error)
