"""The command line: `python main.py [run|imagine|models|loras|playground|sync|check]`."""

import argparse
import asyncio
import io
import sys

from bot import log
from bot.cli.arguments import parser
from bot.errors import SettingsError, StoreError
from bot.process.restart import exit_code
from bot.process.signals import leave, unread
from bot.settings import Settings
from catalog import CatalogError
from cogs import EXTENSIONS


def main(arguments: list[str] | None = None) -> int:
    """Run one call; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A pipe on Windows has an old code page, which knows neither ✓ nor most prompts.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    options = parser().parse_args(arguments)
    try:
        code = call(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return unread()
    except (SettingsError, StoreError, CatalogError) as error:
        print(error, file=sys.stderr)  # noqa: T201
        return exit_code(error) if options.call in (None, "run") else 1


def call(options: argparse.Namespace) -> int:
    """Each call imports what it needs, so that a listing does not wait for Discord or torch."""
    if options.call == "check" and not options.repair:
        from bot.cli.check import check

        return check()
    settings = Settings.load()
    if options.call == "check":
        from bot.cli.repair import repair_database

        return repair_database(settings)
    if options.call in (None, "run"):
        from bot.cli.run import run

        return run(settings, EXTENSIONS)
    log.set_up("WARNING", settings.secrets())
    if options.call in ("models", "loras"):
        from bot.cli.listing import listing

        return listing(options.call, settings, as_json=options.json)
    if options.call == "playground":
        from bot.cli.playground import playground

        return asyncio.run(playground(settings, port=options.port, browser=not options.no_open))
    if options.call == "sync":
        from bot.cli.sync import sync

        return asyncio.run(sync(settings, EXTENSIONS, options.guild))
    from bot.cli.imagine import imagine

    return asyncio.run(imagine(options, settings))


if __name__ == "__main__":
    leave(main())
