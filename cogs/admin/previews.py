"""/admin previews: pictures of the models and LoRAs, painted while nobody waits."""

from discord import app_commands

from bot.chat.client import ImagenBot
from bot.previews import Previews
from cogs.admin.group import Commands, Interaction, OwnersGroup, answer, say_to

FAILED_SHOWN = 10


class PreviewCommands(OwnersGroup):
    """/admin previews start, stop and status."""

    def __init__(self, previews: Previews) -> None:
        super().__init__(name="previews", description="command.admin.previews.description")
        self._previews = previews

    @app_commands.command(name="start", description="command.admin.previews.start")
    async def start(self, interaction: Interaction) -> None:
        await self._previews.start()
        await answer(interaction, say_to(interaction)("previews.started"))

    @app_commands.command(name="stop", description="command.admin.previews.stop")
    async def stop(self, interaction: Interaction) -> None:
        await self._previews.stop()
        await answer(interaction, say_to(interaction)("previews.stopped"))

    @app_commands.command(name="status", description="command.admin.previews.status")
    async def status(self, interaction: Interaction) -> None:
        say, progress = say_to(interaction), self._previews.progress()
        code = "previews.working" if progress.wanted else "previews.idle"
        lines = [say(code, painted=progress.painted, left=progress.left)]
        if progress.failed:
            names = ", ".join(f"`{key}`" for key in progress.failed[:FAILED_SHOWN])
            lines.append(say("previews.failed", count=len(progress.failed), names=names))
        await answer(interaction, "\n".join(lines))


def commands(bot: ImagenBot) -> Commands:
    return (PreviewCommands(bot.services.previews),)
