"""The command line's grammar. It is a contract: scripts rely on it."""

import argparse
import re
from typing import Any

from bot.cli.subcommands import (
    check,
    compare,
    describe,
    imagine,
    info,
    keys,
    listing,
    playground,
    run,
    serve,
    sync,
    upscale,
    worker,
    workers,
)

SUBCOMMANDS = (
    *(run, serve, imagine, compare, upscale, describe, info, listing),
    *(playground, sync, check, keys, worker, workers),
)
"""In the order of `--help`."""


class _Parser(argparse.ArgumentParser):
    """Takes `-1:0.2` for a value; argparse by itself takes all but plain numbers for an option.

    No option may begin with a minus and a digit.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._negative_number_matcher = re.compile(r"-\.?\d")


def parser() -> argparse.ArgumentParser:
    """Usage errors print to stderr and exit with 2; the namespace's `run` is what to call."""
    top = _Parser(prog="main.py", description="A Discord bot that generates images")
    top.set_defaults(run=run.run)
    subparsers = top.add_subparsers(dest="call", metavar="COMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add_to(subparsers)
    return top
