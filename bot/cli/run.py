"""`main.py run`: run the bot, or explain how to get a token."""

import sys
from collections.abc import Sequence
from functools import partial

from bot.cli.serving import serve_until_stopped
from bot.process.restart import MISCONFIGURED
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

    Raises as `serve_until_stopped`.
    """
    if settings.token is None:
        print(FIRST_STEPS, file=sys.stderr)
        return MISCONFIGURED
    return serve_until_stopped(settings, partial(serve, settings, extensions))
