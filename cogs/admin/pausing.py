"""/admin quiet: hours at which nothing is generated. /admin drain: finishing before an update."""

from zoneinfo import available_timezones

from discord import app_commands
from discord.app_commands import Choice

from bot.chat.client import ImagenBot, Interaction
from bot.chat.draining import Draining
from bot.chat.ui.choices import CHOICES_MAX
from bot.queue import JobQueue
from bot.queue.quiet import QuietHours
from bot.store import discord_person
from cogs.admin.group import Commands, OwnersGroup, answer, may_be_suggested, say_to


class QuietCommands(OwnersGroup):
    """/admin quiet set, off and show. Requests are accepted all the same, and wait."""

    def __init__(self, queue: JobQueue) -> None:
        super().__init__(name="quiet", description="command.admin.quiet.description")
        self._queue = queue
        self._zones = sorted(available_timezones())

    @app_commands.command(name="set", description="command.admin.quiet.set.description")
    @app_commands.describe(
        start="command.admin.quiet.set.start",
        end="command.admin.quiet.set.end",
        zone="command.admin.quiet.set.zone",
    )
    async def begin(
        self, interaction: Interaction, start: str, end: str, zone: str | None = None
    ) -> None:
        await self._keep(interaction, QuietHours.of(start, end, zone))

    @app_commands.command(name="off", description="command.admin.quiet.off.description")
    async def off(self, interaction: Interaction) -> None:
        await self._keep(interaction, None)

    @app_commands.command(name="show", description="command.admin.quiet.show.description")
    async def show(self, interaction: Interaction) -> None:
        await self._answer(interaction)

    @begin.autocomplete("zone")
    async def _complete_zone(self, interaction: Interaction, text: str) -> list[Choice[str]]:
        if not await may_be_suggested(interaction):
            return []
        wanted = text.casefold().replace(" ", "_")
        found = [zone for zone in self._zones if wanted in zone.casefold()]
        return [Choice(name=zone, value=zone) for zone in found[:CHOICES_MAX]]

    async def _keep(self, interaction: Interaction, quiet: QuietHours | None) -> None:
        if quiet != self._queue.still.quiet:
            await self._queue.still.keep_quiet(quiet, discord_person(interaction.user.id))
        await self._answer(interaction)

    async def _answer(self, interaction: Interaction) -> None:
        say, still = say_to(interaction), self._queue.still
        if still.quiet is None:
            await answer(interaction, say("admin.quiet.none"))
            return
        start, end, zone = still.quiet.clock
        text = say(
            "admin.quiet.daily", start=start, end=end, zone=zone or say("admin.quiet.machine")
        )
        if still.resumes_at is not None:
            text = f"{text} {say('admin.quiet.now', when=still.resumes_at)}"
        await answer(interaction, text)


class DrainCommands(OwnersGroup):
    """/admin drain begin and undo."""

    def __init__(self, queue: JobQueue, draining: Draining) -> None:
        super().__init__(name="drain", description="command.admin.drain.description")
        self._queue = queue
        self._draining = draining

    @app_commands.command(name="begin", description="command.admin.drain.begin.description")
    @app_commands.describe(stop="command.admin.drain.begin.stop")
    async def begin(self, interaction: Interaction, stop: bool = False) -> None:
        await self._draining.begin(discord_person(interaction.user.id), stop=stop)
        say = say_to(interaction)
        lines = [say("admin.drain.begun", count=len(self._queue))]
        if self._queue.still.now and len(self._queue):
            lines.append(say("admin.drain.still"))
        lines.append(say("admin.drain.stops" if stop else "admin.drain.stays"))
        await answer(interaction, " ".join(lines))

    @app_commands.command(name="undo", description="command.admin.drain.undo.description")
    async def undo(self, interaction: Interaction) -> None:
        undone = await self._draining.undo(discord_person(interaction.user.id))
        code = "admin.drain.undone" if undone else "admin.drain.not"
        await answer(interaction, say_to(interaction)(code))


def commands(bot: ImagenBot) -> Commands:
    services = bot.services
    queue = services.backend.queue
    return QuietCommands(queue), DrainCommands(queue, services.draining)
