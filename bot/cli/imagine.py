"""`main.py imagine`, `compare`, `upscale` and `describe`: one job, done by a server, by the bot
that runs beside, or here.

All three go through a bot's queue, workers, engine and store, and end in the same result.
"""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from bot.cli.asked import Asked
from bot.cli.beside import generate_beside
from bot.cli.here import generate_here
from bot.cli.result import BAD_REQUEST, JOB_FAILED, NotDone, Result, printable, show
from bot.cli.watching import Watcher
from bot.errors import InvalidRequest, Refused
from bot.process.signals import stop_on_signals
from bot.settings import Settings
from bot.texts.language import Texts
from bot.texts.terminal import for_terminal

if TYPE_CHECKING:
    from bot.cli.remote import RemoteServer


async def imagine(
    options: argparse.Namespace, settings: Settings, server: "RemoteServer | None" = None
) -> int:
    """Generate what `options` ask for, on `server` if one is given; returns the exit code."""
    say = for_terminal(Texts.read()).speaker()
    if options.out is not None:
        try:
            options.out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            print(f"--out: cannot create folder {options.out}: {error.strerror}", file=sys.stderr)
            return BAD_REQUEST
    stop = stop_on_signals(exit_code=JOB_FAILED)
    watcher = Watcher(say, bar=sys.stderr.isatty())
    try:
        result = await _generate(await Asked.read(options), settings, server, watcher, stop)
    except (InvalidRequest, Refused) as error:
        watcher.end()
        print(say(error.code, **error.params), file=sys.stderr)
        return BAD_REQUEST
    except NotDone as error:
        watcher.end()
        print(printable(error), file=sys.stderr)
        return error.code
    watcher.end()
    return show(result, say, as_json=options.json)


async def _generate(
    asked: Asked,
    settings: Settings,
    server: "RemoteServer | None",
    watcher: Watcher,
    stop: asyncio.Event,
) -> Result:
    """Raises InvalidRequest, Refused, NotDone."""
    if server is not None:
        # Imported here because most command lines run without a server.
        from bot.cli.remote import generate_remotely

        return await generate_remotely(asked, server, watcher, stop)
    result = await generate_beside(asked, settings, watcher, stop)
    return result or await generate_here(asked, settings, watcher, stop)
