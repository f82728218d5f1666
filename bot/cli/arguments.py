"""The command line's grammar. It is a contract: scripts rely on it."""

import argparse

from bot.cli.subcommands import (
    check,
    compare,
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
    *(run, serve, imagine, compare, upscale, info, listing),
    *(playground, sync, check, keys, worker, workers),
)
"""In the order of `--help`."""


def parser() -> argparse.ArgumentParser:
    """Usage errors print to stderr and exit with 2; the namespace's `run` is what to call."""
    top = argparse.ArgumentParser(prog="main.py", description="A Discord bot that generates images")
    top.set_defaults(run=run.run)
    subparsers = top.add_subparsers(dest="call", metavar="COMMAND")
    for subcommand in SUBCOMMANDS:
        subcommand.add_to(subparsers)
    return top
