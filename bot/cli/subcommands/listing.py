"""`main.py models`, `main.py loras` and `main.py embeddings`: list the catalog."""

import argparse
from typing import TYPE_CHECKING

from bot.cli.subcommands import settings_for_terminal

if TYPE_CHECKING:
    from bot.cli.subcommands import Subparsers


def add_to(subparsers: "Subparsers") -> None:
    for name, what in (("models", "models"), ("loras", "LoRAs"), ("embeddings", "embeddings")):
        parser = subparsers.add_parser(name, help=f"list the catalog's {what}")
        parser.add_argument("--json", action="store_true", help="print a JSON list")
        parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from bot.cli.listing import listing

    return listing(options.call, settings_for_terminal(), as_json=options.json)
