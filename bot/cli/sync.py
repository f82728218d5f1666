"""`main.py sync`: register the slash commands now."""

import sys
from collections.abc import Sequence

import discord

from bot.chat.connection import AWAY, REFUSED_LOGIN
from bot.chat.sync import register
from bot.errors import SettingsError
from bot.serve.discord_bot import DiscordBot
from bot.settings import Settings


async def sync(settings: Settings, extensions: Sequence[str], guild: int | None) -> int:
    """Register in `guild`, else in DISCORD_GUILD_ID, else globally; returns the exit code."""
    if settings.token is None:
        raise SettingsError("DISCORD_TOKEN: not set; registering commands needs it")
    target = guild or settings.guild_id
    async with DiscordBot.build(settings, extensions) as bot:
        try:
            await bot.client.login(settings.token.get_secret_value())
            commands = await register(
                bot.client.tree, bot.core.backend.store, target, settings.admin_servers
            )
        except discord.LoginFailure as error:
            raise SettingsError(REFUSED_LOGIN) from error
        except discord.HTTPException as error:
            print(f"Discord returned HTTP {error.status} (code {error.code})", file=sys.stderr)
            return 1
        except AWAY as error:
            print(f"cannot reach Discord: {type(error).__name__}", file=sys.stderr)
            return 1
        where = f"in server {target}" if target else "globally"
        print(f"registered {where}: {', '.join('/' + command.name for command in commands)}")
        return 0
