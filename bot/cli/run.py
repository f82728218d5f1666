"""`main.py run`: the bot, or how to get a token for it."""

import asyncio
import sys
from collections.abc import Sequence

from bot import client, log
from bot.settings import Settings

FIRST_STEPS = """\
No DISCORD_TOKEN: create a bot at https://discord.com/developers/applications, page Bot, \
Reset Token, and put it into .env
Invite it (page OAuth2, scopes bot + applications.commands) with the permissions View Channels, \
Send Messages, Attach Files, Embed Links, Read Message History, Add Reactions; \
it needs no privileged intent
Without a token, `make demo` lets you try it in your browser, here and now"""


def run(settings: Settings, extensions: Sequence[str]) -> int:
    """Serve Discord until interrupted; returns the exit code."""
    if settings.token is None:
        print(FIRST_STEPS, file=sys.stderr)
        return 1
    log.set_up(settings.log_level, settings.secrets())
    asyncio.run(client.run(settings, extensions))
    return 0
