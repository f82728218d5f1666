"""A disk that is really full, read-only, locked or damaged: reported in words, nothing lost."""

import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from playground import Interaction, Playground, User
from tests.chaos.harness import ChaosHome, LightBot, until
from tests.e2e.home import call
from tests.parameters import mostly_long

pytestmark = pytest.mark.long


UNSHARE = shutil.which("unshare")
needs_namespaces = pytest.mark.skipif(
    sys.platform != "linux" or UNSHARE is None, reason="a disk of its own needs Linux' namespaces"
)
REFUSED = "the bot's owner needs to check the disk"


class SmallDiskBot(LightBot):
    """A bot whose data folder is a disk of its own of `size`, mounted with the options `then`."""

    size = "3m"
    then = "true"

    @property
    def command(self) -> list[str]:
        script = 'mount -t tmpfs -o size=$1 tmpfs "$2" && eval "$3" && shift 3 && exec "$@"'
        data = str(self.home.data_dir)
        mounted = ["sh", "-c", script, "sh", self.size, data, self.then]
        return ["unshare", "--map-root-user", "--mount", *mounted, *super().command]

    @property
    def disk(self) -> Path:
        """The folder as the bot sees it."""
        return Path(f"/proc/{self.pid}/root{self.home.data_dir}")


@pytest.fixture
async def small_disk(home: ChaosHome, playground: Playground) -> AsyncIterator[SmallDiskBot]:
    home.data_dir.mkdir()
    async with SmallDiskBot(home, playground) as bot:
        yield bot


def fill(disk: Path) -> Path:
    """Fill the disk; returns the file that does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return filler


def refused(call: Interaction) -> bool:
    return call.ephemeral and call.message is not None and REFUSED in call.message.content


@needs_namespaces
async def test_a_full_disk_is_said_and_what_was_taken_is_kept(
    small_disk: SmallDiskBot, playground: Playground, ada: User
) -> None:
    bot = small_disk
    calls = [await ada.slash("imagine", prompt="x", steps=30, seed=1)]
    await calls[0].wait(lambda m: "Step" in m.text)
    filler = fill(bot.disk)
    await until(lambda: "generated, but its result cannot be saved" in bot.log)
    # The journal has room for a few more before the database is affected too.
    while not refused(calls[-1]):
        calls.append(await ada.slash("imagine", prompt="x", steps=1))
        assert len(calls) < 500
    taken = [one for one in calls if not refused(one)]
    filler.unlink()
    for one in taken:
        await one.wait(lambda m: bool(m.attachments))
    assert sum(bool(message.attachments) for message in playground.messages()) == len(taken)
    assert "make room" in bot.log
    assert "Traceback" not in bot.log
    assert playground.violations == []


@needs_namespaces
async def test_a_read_only_disk_ends_the_start_with_a_sentence(
    home: ChaosHome, playground: Playground
) -> None:
    home.data_dir.mkdir()
    bot = SmallDiskBot(home, playground)
    bot.then = 'mount -o remount,ro "$2"'
    async with bot.starting():
        assert await bot.wait() == 78
    assert "write permission" in bot.log
    assert "Traceback" not in bot.log


@pytest.mark.long
async def test_a_locked_database_is_said_and_waited_for(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    running = await ada.slash("imagine", prompt="x", steps=40)
    await running.wait(lambda m: "Step" in m.text)
    other = sqlite3.connect(home.data_dir / "imagen.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert refused(await ada.slash("imagine", prompt="x"))
    await until(lambda: "generated, but its result cannot be saved" in bot.log)
    other.execute("ROLLBACK")
    other.close()
    await running.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["delivered"])
    assert "the database is locked: another program has held it" in bot.log
    assert "Traceback" not in bot.log


@pytest.mark.long
@pytest.mark.parametrize("large", mostly_long([False, True], usual=1))
async def test_a_damaged_database_is_said_and_repaired(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User, large: bool
) -> None:
    """A large one only once the bot is online, because looking it over takes seconds."""
    if large:
        bot.settings["CHAOS_DATABASES_ARE_LARGE"] = "yes"
    for _ in range(3):
        shown = await ada.slash("imagine", prompt="x" * 900)
        await shown.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["delivered"] * 3)
    await until(lambda: "backup: imagen-" in bot.log)
    waiting = [await ada.slash("imagine", prompt="y", steps=20) for _ in range(2)]
    await bot.end()
    # The start reads the open jobs, but asks for none by its message.
    wreck(home.data_dir / "imagen.sqlite3", "discord_jobs_by_message" if large else "jobs_open")

    await bot.start(online=False)
    assert await bot.wait() == 78
    assert "the database is damaged" in bot.log
    code, out, _ = await call(home, "check", "--repair")
    assert (code, out.count("jobs")) == (0, 2)
    await bot.start()
    for asked in waiting:
        await asked.wait(lambda m: bool(m.attachments))
    code, out, err = await call(home, "check", "--repair")
    assert (code, out) == (1, "")
    assert "stop it first" in err


def wreck(database: Path, index: str) -> None:
    """Damage an index: all rows can still be read, but not in its order."""
    connection = sqlite3.connect(database)
    [(page,)] = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,))
    [(size,)] = connection.execute("PRAGMA page_size")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    with database.open("rb+") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)


async def well(bot: LightBot) -> None:
    """Wait until the bot counts as connected, seconds after READY; the rest must be well too."""
    starts = bot.log.count("logging in using")
    await until(lambda: bot.log.count("bot.chat.client: online") == starts)
    assert await bot.health() == (
        200,
        {"status": "ok", "discord": "ok", "database": "ok", "painting": "ok"},
    )


@pytest.mark.long
async def test_a_database_that_is_replaced_is_noticed_and_a_restart_goes_on_with_the_new_one(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    first = await ada.slash("imagine", prompt="x", steps=1)
    await first.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["delivered"])
    await well(bot)
    database = home.data_dir / "imagen.sqlite3"
    backup = home.data_dir / "backup"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("VACUUM INTO ?", (str(backup),))
    backup.replace(database)
    assert refused(await ada.slash("imagine", prompt="x", steps=1))
    status, said = await bot.health()
    assert status == 503
    assert said["database"] == "its file was replaced, moved or deleted; restart the bot"
    assert "the file was replaced by another" in bot.log
    await bot.end()
    await bot.start()
    await well(bot)
    again = await ada.slash("imagine", prompt="x", steps=1)
    await again.wait(lambda m: bool(m.attachments))
    await until(lambda: home.states() == ["delivered"] * 2)
