"""`main.py check`: can the bot run here?"""

import argparse

from bot.cli.subcommands import Subparsers
from bot.settings import Settings


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("check", help="check whether the bot can run, and what to fix")
    parser.add_argument(
        "--repair", action="store_true", help="repair a damaged database; stop the bot first"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.repair:
        from bot.cli.repair import repair_database

        return repair_database(Settings.load())
    from bot.cli.check import check

    # It loads the settings itself: errors in them are its first findings.
    return check()
