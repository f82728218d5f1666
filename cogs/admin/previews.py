"""/admin previews: pictures of the models and LoRAs, painted while nobody waits."""

from discord import app_commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.here import here_of
from bot.previews import Previews
from bot.store import discord_person
from catalog import LiveCatalog
from cogs.admin.group import Commands, OwnersGroup, answer, say_to

FAILED_SHOWN = 10


class PreviewCommands(OwnersGroup):
    """/admin previews start, stop and status."""

    def __init__(self, previews: Previews, catalog: LiveCatalog) -> None:
        super().__init__(name="previews", description="command.admin.previews.description")
        self._previews = previews
        self._catalog = catalog

    @app_commands.command(name="start", description="command.admin.previews.start")
    async def start(self, interaction: Interaction) -> None:
        await self._previews.start(discord_person(interaction.user.id))
        await answer(interaction, say_to(interaction)("previews.started"))

    @app_commands.command(name="stop", description="command.admin.previews.stop")
    async def stop(self, interaction: Interaction) -> None:
        await self._previews.stop(discord_person(interaction.user.id))
        await answer(interaction, say_to(interaction)("previews.stopped"))

    @app_commands.command(name="status", description="command.admin.previews.status")
    async def status(self, interaction: Interaction) -> None:
        say, progress = say_to(interaction), self._previews.progress()
        code = "previews.working" if progress.wanted else "previews.idle"
        lines = [say(code, painted=progress.painted, left=progress.left)]
        failed = progress.failed
        if not here_of(interaction).nsfw:
            failed = tuple(key for key in failed if self._may_be_named(key))
        if failed:
            names = ", ".join(f"`{key}`" for key in failed[:FAILED_SHOWN])
            lines.append(say("previews.failed", count=len(failed), names=names))
        if unnamed := len(progress.failed) - len(failed):
            lines.append(say("previews.failed_unnamed", count=unnamed))
        await answer(interaction, "\n".join(lines))

    def _may_be_named(self, key: str) -> bool:
        """Whether nothing of that key is for age-restricted channels. One that has left the catalog
        may have been."""
        catalog = self._catalog.current
        found = (catalog.models.get(key), catalog.adapters.get(key))
        entries = [entry for entry in found if entry is not None]
        return bool(entries) and not any(entry.nsfw for entry in entries)


def commands(bot: ImagenBot) -> Commands:
    return (PreviewCommands(bot.services.previews, bot.services.backend.catalog),)
