"""/admin status: how the bot is doing."""

import asyncio
import shutil
from pathlib import Path

from discord import app_commands

from bot.chat.client import ImagenBot, Interaction
from bot.chat.ui.admin import Status, status_text
from bot.chat.ui.lanes import LaneView
from bot.queue import JobQueue
from bot.store import Store, now_ms
from bot.store.usage import DAY
from cogs.admin.group import Commands, answer, say_to


class StatusCommand:
    """data_dir: on the disk of which the free space is told."""

    def __init__(self, bot: ImagenBot, queue: JobQueue, store: Store, data_dir: Path) -> None:
        self._bot = bot
        self._queue = queue
        self._store = store
        self._data_dir = data_dir

    async def show(self, interaction: Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        disk = await asyncio.to_thread(shutil.disk_usage, self._data_dir)
        status = Status(
            lanes=tuple(LaneView.of(lane, lane.in_place.model) for lane in self._queue.lanes),
            waiting=len(self._queue) - len(self._queue.running),
            sending=self._bot.services.delivery.on_the_way,
            paused=self._queue.still.paused,
            resumes_at=self._queue.still.resumes_at,
            draining=self._bot.services.draining.begun,
            failures=await self._store.failures(now_ms() - DAY * 1000),
            reports=await self._store.reports.count_open(),
            untold=await self._store.acts.count_untold(),
            refusing=tuple(self._bot.services.audit.refusing),
            servers=len(self._bot.guilds),
            images=await self._store.kept_images.bytes(),
            free=disk.free,
            shards=self._bot.heartbeats,
        )
        await answer(interaction, status_text(say_to(interaction), status))


def commands(bot: ImagenBot) -> Commands:
    backend = bot.services.backend
    data_dir = backend.settings.data_dir.absolute()
    return (
        app_commands.Command(
            name="status",
            description="command.admin.status.description",
            callback=StatusCommand(bot, backend.queue, backend.store, data_dir).show,
        ),
    )
