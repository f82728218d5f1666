"""`main.py playground`: the bot in the browser, without Discord."""

import argparse
import asyncio

from bot.cli.subcommands import Subparsers, settings_for_terminal

PAGE_PORT = 8799
PORT_MAX = 65_535


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "playground", help="chat with the bot in your browser, without Discord or a token"
    )
    parser.add_argument(
        "--port",
        metavar="N",
        type=_port,
        default=PAGE_PORT,
        help=f"port on 127.0.0.1 (default {PAGE_PORT}, or the next free one; 0: any free one)",
    )
    parser.add_argument(
        "--no-open", action="store_true", help="print the address without opening a browser"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from bot.cli.playground import playground

    settings = settings_for_terminal()
    return asyncio.run(playground(settings, port=options.port, browser=not options.no_open))


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > PORT_MAX:
        raise argparse.ArgumentTypeError(f"must be a port from 0 to {PORT_MAX}, got {text!r}")
    return int(text)
