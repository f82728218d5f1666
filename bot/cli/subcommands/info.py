"""`main.py info`: how an image was generated."""

import argparse
from pathlib import Path

from bot.cli.subcommands import Subparsers, settings_for_terminal


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "info", help="show how an image was generated, whichever program made it"
    )
    parser.add_argument("file", metavar="FILE", type=Path, help="a PNG, JPEG or WebP file")
    parser.add_argument("--json", action="store_true", help="print it as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from bot.cli.info import info

    return info(options.file, settings_for_terminal(), as_json=options.json)
