"""`main.py keys`: make, list and revoke the keys of callers over HTTP."""

import argparse
import asyncio

from bot.cli.subcommands import Subparsers, settings_for_terminal


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("keys", help="make, list and revoke keys for the HTTP interface")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", help="make a key and print it, once")
    add.add_argument("name", metavar="NAME", help="who it is for")
    add.add_argument("--rate", metavar="N", type=_positive, help="requests a minute (no limit)")
    add.add_argument(
        "--daily", metavar="N", type=_positive, help="images in any 24 hours (no limit)"
    )
    add.add_argument(
        "--nsfw",
        action="store_true",
        help="may use models and LoRAs that are only for age-restricted channels",
    )
    add.add_argument(
        "--admin", action="store_true", help="may see and cancel the jobs of other keys"
    )
    add.add_argument(
        "--priority",
        metavar="N",
        type=_priority,
        default=0,
        help="1 to 99: jobs with a higher one go first, as those of IMAGEN_PRIORITY_ROLES",
    )
    add.add_argument(
        "--worker",
        action="store_true",
        help="for a worker on another machine: it may fetch model files, and do nothing else",
    )
    actions.add_parser("list", help="list the keys, without the keys themselves")
    revoke = actions.add_parser("revoke", help="make a key useless at once")
    revoke.add_argument("name", metavar="NAME", help="whose")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Works beside a running bot, too."""
    from bot.cli.keys import keys

    return asyncio.run(keys(options, settings_for_terminal()))


def _priority(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 99:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 99, got {text!r}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1_000_000:
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 1 to 1,000,000, got {text!r}"
        )
    return int(text)
