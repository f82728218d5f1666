"""What `main.py run` and `main.py serve` have in common: a process that serves until a signal."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from bot import log
from bot.errors import EngineLost, Outgrown
from bot.process.lock import only_bot
from bot.process.preparation import allow_open_files, keep_files_private
from bot.process.restart import start_over
from bot.settings import Settings


def serve_until_stopped(settings: Settings, serve: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Returns the exit code.

    Raises what `serve` raises, and StoreError if another bot is using the same data folder.
    """
    as_json = settings.log_format == "json"
    log.set_up(settings.log_level, settings.secrets(), as_json=as_json)
    keep_files_private()
    allow_open_files()
    with only_bot(settings.data_dir.absolute()):
        try:
            asyncio.run(serve())
        except (EngineLost, Outgrown):
            over = True
        else:
            over = False
    if over:
        start_over(by_itself=settings.restart)
    return 0
