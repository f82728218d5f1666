"""The smallest discord.py bot that answers one slash command: the baseline for start-up time."""

import os
from typing import Any

import discord
from discord import app_commands


class BareBot(discord.AutoShardedClient):  # which asks the API for the gateway's URL
    """No settings, no catalog, no database, no engine."""

    def __init__(self) -> None:
        super().__init__(intents=discord.Intents(guilds=True))
        self.tree: app_commands.CommandTree[Any] = app_commands.CommandTree(self)

    async def setup_hook(self) -> None:
        await self.tree.sync()


def main() -> None:
    discord.http.Route.BASE = os.environ["DISCORD_API_URL"]
    bot = BareBot()

    @bot.tree.command(name="models", description="Answers at once")
    async def models(interaction: discord.Interaction[BareBot]) -> None:
        await interaction.response.send_message("none", ephemeral=True)

    bot.run(os.environ["DISCORD_TOKEN"], log_handler=None)


if __name__ == "__main__":
    main()
