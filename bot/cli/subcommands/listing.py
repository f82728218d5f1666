"""`main.py models`, `loras`, `embeddings` and `controlnets`: list the catalog."""

import argparse
import asyncio

from bot.cli.subcommands import Subparsers, add_server_to, server_of, settings_for_terminal


def add_to(subparsers: Subparsers) -> None:
    for name, what in (
        *(("models", "models"), ("loras", "LoRAs"), ("embeddings", "embeddings")),
        ("controlnets", "ControlNets"),
    ):
        parser = subparsers.add_parser(name, help=f"list the catalog's {what}")
        parser.add_argument("--json", action="store_true", help="print a JSON list")
        add_server_to(parser)
        parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from bot.cli.listing import listing, remote_listing

    settings = settings_for_terminal()
    if (server := server_of(options, settings)) is not None:
        return asyncio.run(remote_listing(options.call, server, as_json=options.json))
    return listing(options.call, settings, as_json=options.json)
