"""`main.py serve`: the HTTP interface without Discord."""

import argparse
import sys

from bot.cli.subcommands import Subparsers
from bot.errors import SettingsError, StoreError
from bot.settings import Settings
from catalog import CatalogError


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "serve", help="serve images over HTTP, without Discord and without a token"
    )
    parser.add_argument(
        "--host", metavar="H", help="address to listen on (default: IMAGEN_API_HOST, 127.0.0.1)"
    )
    parser.add_argument(
        "--port", metavar="P", type=int, help="port (default: IMAGEN_API_PORT, or else 8009)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """The exit code tells a supervisor whether to restart it."""
    from bot.cli.serve import serve
    from bot.process.restart import exit_code

    try:
        return serve(Settings.load(), options.host, options.port)
    except (SettingsError, StoreError, CatalogError) as error:
        print(error, file=sys.stderr)
        return exit_code(error)
