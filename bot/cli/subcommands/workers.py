"""`main.py workers`: the machines that generate for the bot, as its owner sees them."""

import argparse
import asyncio

from bot.cli.subcommands import Subparsers, settings_for_terminal


def add_to(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser("workers", help="list, drain and resume workers; allow new ones")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="list the workers that are there")
    for name, what in (
        ("drain", "have a worker finish its job and take no more"),
        ("resume", "have it take jobs again"),
        ("allow", "make a login for one worker, and print its IMAGEN_BROKER, once"),
        ("remove", "make that login useless at once"),
    ):
        action = actions.add_parser(name, help=what)
        action.add_argument("name", metavar="NAME", help="which worker")
        if name == "allow":
            action.add_argument(
                "--at",
                metavar="ADDRESS",
                help="where it reaches the broker: HOST or HOST:PORT, with redis:// or rediss:// "
                "before it if that differs from here (IMAGEN_BROKER of this machine)",
            )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Works beside a running bot."""
    from bot.cli.workers import workers

    return asyncio.run(workers(options, settings_for_terminal()))
