"""/admin reset: letting someone start over with every quota and cooldown."""

import discord
from discord import app_commands

from bot.chat.client import ImagenBot, Interaction
from bot.queue import JobQueue
from bot.store import discord_person
from cogs.admin.group import Commands, OwnersGroup, answer, say_to


class ResetCommands(OwnersGroup):
    """/admin reset user."""

    def __init__(self, queue: JobQueue) -> None:
        super().__init__(name="reset", description="command.admin.reset.description")
        self._queue = queue

    @app_commands.command(name="user", description="command.admin.reset.user.description")
    @app_commands.describe(user="command.admin.reset.user.user")
    async def user(self, interaction: Interaction, user: discord.User) -> None:
        actor = discord_person(interaction.user.id)
        done = await self._queue.start_over(discord_person(user.id), None, actor=actor)
        code = "admin.reset.done" if done else "admin.reset.unused"
        await answer(interaction, say_to(interaction)(code, user=user.mention))


def commands(bot: ImagenBot) -> Commands:
    return (ResetCommands(bot.services.backend.queue),)
