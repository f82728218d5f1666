"""The command line: `python main.py [run|imagine|models|loras|…]`; `--help` lists them all."""

import argparse
import io
import sys

from bot.cli.arguments import parser
from bot.errors import SettingsError, StoreError
from bot.process.signals import leave, unread
from catalog import CatalogError
from cogs import EXTENSIONS


def main(arguments: list[str] | None = None) -> int:
    """Run one subcommand; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows has a legacy code page: no ✓, and few of the characters in prompts.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = parser().parse_args(arguments, argparse.Namespace(extensions=EXTENSIONS))
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return unread()
    except (SettingsError, StoreError, CatalogError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1


if __name__ == "__main__":
    leave(main())
