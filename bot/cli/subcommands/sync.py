"""`main.py sync`: register the slash commands."""

import argparse
import asyncio

from bot.cli.subcommands import Subparsers, settings_for_terminal


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("sync", help="register the slash commands with Discord")
    parser.add_argument("--guild", metavar="ID", type=int, help="register in this server only")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from bot.cli.sync import sync

    return asyncio.run(sync(settings_for_terminal(), options.extensions, options.guild))
