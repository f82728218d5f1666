"""`main.py run`: run the bot, or explain how to get a token."""

import asyncio
import sys
from collections.abc import Sequence

from bot import log
from bot.errors import EngineLost
from bot.process.lock import only_bot
from bot.process.preparation import allow_open_files, keep_files_private
from bot.process.restart import MISCONFIGURED, start_over
from bot.serve import serve
from bot.settings import Settings

FIRST_STEPS = """\
DISCORD_TOKEN is not set: create a bot at https://discord.com/developers/applications, get its \
token on the page Bot with Reset Token, and put it into .env
Invite it (page OAuth2, scopes bot + applications.commands) with the permissions View Channels, \
Send Messages, Attach Files, Embed Links, Read Message History, Add Reactions; \
it needs no privileged intents
No token yet? `make demo` lets you try the bot in your browser"""


def run(settings: Settings, extensions: Sequence[str]) -> int:
    """Serve Discord until interrupted; returns the exit code.

    Raises what `serve` raises, and StoreError if another bot is using the same data folder.
    """
    if settings.token is None:
        print(FIRST_STEPS, file=sys.stderr)
        return MISCONFIGURED
    as_json = settings.log_format == "json"
    log.set_up(settings.log_level, settings.secrets(), as_json=as_json)
    keep_files_private()
    allow_open_files()
    with only_bot(settings.data_dir.absolute()):
        try:
            asyncio.run(serve(settings, extensions))
        except EngineLost:
            lost = True
        else:
            lost = False
    if lost:
        start_over(by_itself=settings.restart)
    return 0
