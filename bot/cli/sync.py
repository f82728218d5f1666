"""`main.py sync`: register the slash commands now."""

import sys
from collections.abc import Sequence

import discord

from bot.chat.client import AWAY, REFUSED_LOGIN, ImagenBot, point_at
from bot.chat.sync import register
from bot.errors import SettingsError
from bot.settings import Settings
from bot.studio import Studio
from bot.texts.language import Texts


async def sync(settings: Settings, extensions: Sequence[str], guild: int | None) -> int:
    """Register in `guild`, in DISCORD_GUILD_ID, or everywhere; returns the exit code."""
    if settings.token is None:
        raise SettingsError("DISCORD_TOKEN: not set; registering commands needs it")
    point_at(settings.api_url)
    target = guild or settings.guild_id
    async with (
        Studio.open(settings) as studio,
        ImagenBot(settings, studio, Texts.read(), extensions) as bot,
    ):
        try:
            await bot.login(settings.token.get_secret_value())
            commands = await register(bot.tree, studio.store, target)
        except discord.LoginFailure as error:
            raise SettingsError(REFUSED_LOGIN) from error
        except discord.HTTPException as error:
            print(f"Discord refused: {error.status} (code {error.code})", file=sys.stderr)
            return 1
        except AWAY as error:
            print(f"Discord cannot be reached: {type(error).__name__}", file=sys.stderr)
            return 1
        where = f"in server {target}" if target else "everywhere"
        print(f"registered {where}: {', '.join('/' + command.name for command in commands)}")
        return 0
