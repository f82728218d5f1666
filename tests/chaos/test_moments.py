"""SIGKILL at each moment that matters between two steps of a job."""

import re
import signal
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from playground import NotAcknowledged, Playground, User
from playground.errors import ApiError, Dropped
from tests.chaos.harness import EXPECTED, ChaosHome, LightBot, until
from tests.e2e.results import job_of

ACKNOWLEDGE = ("POST", r"/interactions/.+/callback")
EDIT_ANSWER = ("PATCH", r"/webhooks/.+/messages/@original")
EDIT = ("PATCH", r"/channels/\d+/messages/\d+$")
SEND = ("POST", r"/channels/\d+/messages$")


class KillAt:
    """Kills the bot at its next request of that kind, before or after it is carried out."""

    def __init__(self, kill: Callable[[], None], request: tuple[str, str], *, after: bool) -> None:
        self._kill = kill
        self._method, self._path = request
        self._after = after
        self.done = False

    def before(self, method: str, path: str) -> ApiError | None:
        return None if self._after else self._strike(method, path)

    def after(self, method: str, path: str) -> ApiError | None:
        return self._strike(method, path) if self._after else None

    def _strike(self, method: str, path: str) -> ApiError | None:
        if self.done or method != self._method or not re.search(self._path, path):
            return None
        self.done = True
        self._kill()
        return Dropped()


async def killed_at(
    bot: LightBot, user: User, request: tuple[str, str], *, after: bool, orphan: bool = False
) -> None:
    """Request an image, kill the bot at that moment, start it again; the job has one message.

    orphan: the interaction has expired and its message is deleted before the result comes.
    """
    playground, before = bot.playground, len(bot.home.states())
    kill = KillAt(lambda: bot.send(signal.SIGKILL), request, after=after)
    if not orphan:
        playground.set_weather(kill)
    with suppress(NotAcknowledged):
        call = await user.slash("imagine", prompt="x")
        if orphan:
            assert call.message is not None
            call.dead = True
            playground.delete_message(call.message)
            playground.set_weather(kill)
    await playground.wait_for(lambda: kill.done)
    await bot.wait()
    await playground.wait_offline()
    playground.set_weather(None)
    await bot.start()
    await until(lambda: set(bot.home.states()) == {"delivered"})
    assert len(bot.home.states()) == before + 1


@pytest.fixture
def forgetful(home: ChaosHome, playground: Playground) -> LightBot:
    playground.forget_nonces()
    return LightBot(home, playground, CHAOS_FORGETS_NONCES="yes")


@pytest.mark.long
async def test_a_kill_at_each_request_leaves_one_message(
    bot: LightBot, playground: Playground, ada: User
) -> None:
    playground.ack_deadline = 0.5
    for request in (ACKNOWLEDGE, EDIT_ANSWER):
        for after in (False, True):
            await killed_at(bot, ada, request, after=after)
    await killed_at(bot, ada, SEND, after=True, orphan=True)
    results = [job_of(m) for m in playground.messages() if m.attachments]
    assert len(results) == len(set(results)) == 5
    # After a restart each person is told once that theirs is ready.
    others = [m for m in playground.messages() if not m.attachments]
    assert all(m.content.endswith("Your image is ready.") for m in others)
    assert len({m.reference for m in others}) == len(others)
    unexpected = [v for v in playground.violations if not any(code in v for code in EXPECTED)]
    assert unexpected == []


@pytest.mark.long
async def test_after_a_long_absence_the_message_is_looked_for(
    forgetful: LightBot, playground: Playground, ada: User
) -> None:
    async with forgetful as bot:
        await killed_at(bot, ada, SEND, after=True, orphan=True)
    [result] = [m for m in playground.messages() if m.attachments]
    assert ada.id in result.mentions
    assert any(r.method == "GET" and r.path.endswith("/messages") for r in playground.requests)


@pytest.mark.long
async def test_an_acknowledgement_that_was_not_noted_is_found_when_its_token_is_over(
    forgetful: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    async with forgetful as bot:
        kill = KillAt(lambda: bot.send(signal.SIGKILL), ACKNOWLEDGE, after=True)
        playground.set_weather(kill)
        call = await ada.slash("imagine", prompt="x")
        await bot.wait()
        await playground.wait_offline()
        playground.set_weather(None)
        assert home.rows("SELECT message_id FROM discord_jobs") == [(None,)]
        playground.expire_interactions()
        await bot.start()
        await until(lambda: home.states() == ["delivered"])
    results = [m for m in playground.messages() if m.attachments]
    assert [m.id for m in results] == [call.message and call.message.id]


@pytest.mark.long
async def test_the_same_picture_after_a_kill_while_painting(
    bot: LightBot, home: ChaosHome, playground: Playground, ada: User
) -> None:
    from tests.chaos.light_bot import pixels

    first = await ada.slash("imagine", prompt="x", steps=40, seed=4)
    others = [await ada.slash("imagine", prompt="x", seed=seed) for seed in (5, 6)]
    await first.wait(lambda m: "Step" in m.text)
    await bot.end(signal.SIGKILL)
    assert home.states() == ["running", "pending", "pending"]
    await bot.start()
    for call in (first, *others):
        await call.wait(lambda m: bool(m.attachments))
    assert await painted_pixels(playground, first.message) == pixels(4, 64, 64)
    order = home.rows("SELECT json_extract(request, '$.seed') FROM jobs ORDER BY finished_at")
    assert order == [(5,), (6,), (4,)], "it is suspected, so it goes last"
    assert home.rows("SELECT count(*) FROM tokens") in ([(0,)], [(3,)])
    assert playground.violations == []


@pytest.mark.long
async def test_a_kill_while_one_is_saved_and_the_next_is_painted(
    home: ChaosHome, playground: Playground, ada: User, tmp_path: Path
) -> None:
    from tests.chaos.light_bot import pixels

    held = tmp_path / "held"
    held.touch()
    async with LightBot(home, playground, CHAOS_HOLDS_IMAGES=str(held)) as bot:
        saved = await ada.slash("imagine", prompt="x", steps=10, seed=4)
        painted = await ada.slash("imagine", prompt="x", steps=60, seed=5)
        waiting = await ada.slash("imagine", prompt="x", seed=6)
        await painted.wait(lambda m: "Step" in m.text)
        await bot.end(signal.SIGKILL)
        assert home.states() == ["running", "running", "pending"]
        held.unlink()
        await bot.start()
        for call in (saved, painted, waiting):
            await call.wait(lambda m: bool(m.attachments))
        assert await painted_pixels(playground, saved.message) == pixels(4, 64, 64)
        assert await painted_pixels(playground, painted.message) == pixels(5, 64, 64)
    jobs = home.rows(
        "SELECT json_extract(request, '$.seed'), attempt, crashes FROM jobs ORDER BY finished_at"
    )
    assert jobs == [(4, 2, 0), (6, 1, 0), (5, 2, 1)], "only the one being painted is suspected"
    assert playground.violations == []


async def painted_pixels(playground: Playground, message: Any) -> bytes:
    import io

    from PIL import Image

    data = await playground.download(message.attachments[0])
    with Image.open(io.BytesIO(data)) as image:
        return image.tobytes()


def test_the_stand_in_engine_is_the_only_difference() -> None:
    """These tests must run main.py; see the docstring of light_bot.py."""
    text = Path(LightBot.program).read_text(encoding="utf-8")
    assert text.count("backend.build_engine") == 2
    assert 'runpy.run_path(str(ROOT / "main.py"), run_name="__main__")' in text
