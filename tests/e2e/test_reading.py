"""A bot with files that it does not know yet: it is there at once, and reads them bit by bit."""

import asyncio
import re
import signal
from pathlib import Path

import pytest

from playground import Message, Playground, User
from tests.e2e.home import Bot, Home, call, write_lora

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.long]

FILES = 400
PROGRESS = re.compile(r"Reading model files: ([\d,]+) of ([\d,]+)")


class ReadingBot(Bot):
    """Reads as many files as it was told."""

    program = Path(__file__).with_name("bit_by_bit.py")

    def allow(self, files: int) -> None:
        # Never seen half written: an empty file allows nothing.
        (self.home.folder / "may-be-read").write_text(str(files), encoding="utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    models_dir = tmp_path / "models"
    for number in range(FILES):
        write_lora(models_dir / f"loras/style-{number:03}.safetensors", seed=number)
    return Home(tmp_path / "home", models_dir)


async def listed(user: User) -> Message:
    said = await user.slash("loras")
    assert said.message is not None
    return said.message


def progress(message: Message) -> int | None:
    """How many files are read, as the page says; None if it says nothing."""
    found = PROGRESS.search(message.text)
    return int(found[1].replace(",", "")) if found else None


async def read_at_least(user: User, files: int) -> int:
    async with asyncio.timeout(120):
        # Each answer takes a moment by itself.
        while (read := progress(await listed(user))) is not None and read < files:
            pass
    assert read is not None
    return read


async def all_read(user: User) -> Message:
    async with asyncio.timeout(120):
        while progress(message := await listed(user)) is not None:
            pass
    return message


def painted(message: Message) -> bool:
    return any(attachment.filename.endswith(".png") for attachment in message.attachments)


@pytest.mark.long
async def test_it_answers_before_all_is_read_and_goes_on_after_a_crash(home: Home) -> None:
    async with Playground() as playground, ReadingBot(home, playground) as bot:
        ada = playground.user("ada")
        first = await read_at_least(ada, 0)
        assert first < 20
        assert "Reading " in bot.log
        # Named by someone, it is read at once.
        asked = await ada.slash("imagine", prompt="a fox", lora="style-399", steps=1)
        message = await asked.wait(painted, timeout=120)
        assert "style-399" in message.text
        unlike = await ada.slash("imagine", prompt="a fox", lora="nonsense")
        assert unlike.message is not None
        assert "still reading the model files" in unlike.message.content
        models, words = await ada.slash("models"), await ada.slash("embeddings")
        assert all(PROGRESS.search(said.message.text) for said in (models, words))  # type: ignore[union-attr]

        bot.allow(200)
        read = await read_at_least(ada, 200)
        bot.send(signal.SIGKILL)
        await bot.wait()
        await playground.wait_offline()
        bot.allow(0)
        await bot.start()
        # It may have read some more before the signal came.
        assert await read_at_least(ada, 0) >= read

        bot.allow(10 * FILES)
        message = await all_read(ada)
        assert f"of {-(-(FILES + 5) // 5)}" in message.text
        async with asyncio.timeout(60):
            while "model files are read" not in bot.log:  # noqa: ASYNC110
                await asyncio.sleep(0.1)


@pytest.mark.long
async def test_a_job_from_before_is_painted_with_a_file_that_is_not_read(home: Home) -> None:
    async with Playground() as playground, ReadingBot(home, playground) as bot:
        ada = playground.user("ada")
        await ada.slash("imagine", prompt="a fox", steps=100, count=4)
        waiting = await ada.slash("imagine", prompt="a hen", lora="style-123", steps=1)
        bot.send(signal.SIGKILL)
        await bot.wait()
        await playground.wait_offline()
        (home.data_dir / "facts.jsonl").unlink()
        await bot.start()
        message = await waiting.wait(painted, timeout=120)
        assert "style-123" in message.text
        assert progress(await listed(ada)) is not None


async def test_the_terminal_reads_all_and_leaves_no_trace(home: Home) -> None:
    code, out, _ = await call(home, "loras", "--json")
    assert code == 0
    assert f"style-{FILES - 1}" in out
    assert not (home.data_dir / "facts.jsonl").exists()
