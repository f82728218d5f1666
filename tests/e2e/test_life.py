"""Starting, stopping, crashing and coming back: each test has its own bot."""

import asyncio
import os
import signal
from collections.abc import Callable

import pytest

from playground import Playground
from tests.e2e.conftest import CANARY
from tests.e2e.home import Bot, Home, ImpatientBot, call
from tests.e2e.results import facts
from tests.e2e.test_imagine import painted
from tests.e2e.test_reroll import answer

pytestmark = pytest.mark.asyncio(loop_scope="session")


class ColdBot(ImpatientBot):
    cold = True


@pytest.mark.long
async def test_sigterm_while_painting_loses_nothing_and_old_results_still_react(
    home: Home,
) -> None:
    async with Playground() as playground, ColdBot(home, playground) as bot:
        ada = playground.user("ada")
        old = await painted(ada, prompt=CANARY, seed=3)
        slow = await ada.slash("imagine", prompt=CANARY, size="256x256", steps=30, seed=4)
        waiting = await ada.slash("imagine", prompt=CANARY, seed=5)
        await slow.wait(lambda m: "Step" in m.text, timeout=60)
        assert await bot.end(signal.SIGTERM) == 0
        assert home.states() == ["delivered", "pending", "pending"]

        playground.expire_interactions()
        bot.cold = False  # both give the same images
        await bot.start()
        for interrupted in (slow, waiting):
            message = interrupted.message
            assert message is not None
            found = message.id
            await playground.wait_message(
                lambda m, found=found: m.id == found and bool(m.attachments),  # type: ignore[misc]
                timeout=90,
            )
        assert "seed `4`" in facts(slow.message)  # type: ignore[arg-type]
        assert "seed `5`" in facts(waiting.message)  # type: ignore[arg-type]
        await ada.react(old, "🔁")
        again = await answer(playground, old)
        assert "Identical to the original" in again.text
        assert await bot.end(signal.SIGINT) == 0
        assert "Traceback" not in bot.log
        assert playground.violations == []
    if os.name == "posix":
        kept = list((home.folder / "data").rglob("*"))
        assert kept
        assert [file for file in kept if file.stat().st_mode & 0o077] == []


@pytest.mark.long
async def test_killed_while_painting_it_goes_on(home: Home) -> None:
    """Without warning, in the middle of a job."""
    async with Playground() as playground, ImpatientBot(home, playground) as bot:
        ada = playground.user("ada")
        slow = await ada.slash("imagine", prompt=CANARY, size="256x256", steps=30, seed=6)
        await slow.wait(lambda m: "Step" in m.text, timeout=60)
        await bot.end(signal.SIGKILL)
        assert home.states()[-1] == "running"
        await bot.start()
        await slow.wait(lambda m: bool(m.attachments), timeout=90)
        assert await bot.end(signal.SIGINT) == 0
        assert "Traceback" not in bot.log
        assert playground.violations == []


@pytest.mark.long
async def test_commands_are_registered_once_and_again_when_they_change(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        assert registrations(playground) == 1
        await until(lambda: "commands: registered" in bot.log)
        await bot.end()
        await bot.start()
        await until(lambda: "commands: unchanged" in bot.log)
        await bot.end()
        assert registrations(playground) == 1
        code, out, _ = await call(
            home,
            "sync",
            "--guild",
            str(playground.guild.id),
            DISCORD_TOKEN=playground.token,
            DISCORD_API_URL=playground.api_url,
        )
        assert code == 0
        assert "/imagine, /compare, /edit, /upscale" in out
        assert registrations(playground) == 2
        assert playground.violations == []


def registrations(playground: Playground) -> int:
    return sum(r.method == "PUT" and r.path.endswith("/commands") for r in playground.requests)


@pytest.mark.long
async def test_a_failed_registration_does_not_stop_the_bot(home: Home) -> None:
    async with Playground() as playground:
        playground.fail_next("PUT", r"/applications/\d+/commands", 400, 50035, "Invalid Form Body")
        async with Bot(home, playground).starting() as bot:
            await playground.wait_online()
            await until(lambda: "commands: not registered" in bot.log)
            assert await bot.end() == 0
        async with bot:  # the next start tries again
            assert await bot.end() == 0


@pytest.mark.long
async def test_the_guild_setting_registers_there_at_once(home: Home) -> None:
    async with Playground() as playground:
        guild = str(playground.guild.id)
        async with Bot(home, playground, DISCORD_GUILD_ID=guild) as bot:
            puts = [r.path for r in playground.requests if r.method == "PUT"]
            assert any(f"/guilds/{guild}/commands" in path for path in puts)
            assert await bot.end() == 0


async def test_a_refused_token_ends_the_start_with_a_sentence(home: Home) -> None:
    async with Playground() as playground:
        bot = Bot(home, playground, DISCORD_TOKEN="MTIz.abcdef.a-token-that-nobody-knows-12345")
        async with bot.starting():
            assert await bot.wait() == 78
        assert "DISCORD_TOKEN: Discord does not accept it" in bot.log
        assert "a-token-that-nobody-knows" not in bot.log
        assert "Traceback" not in bot.log


@pytest.mark.long
async def test_a_token_reset_ends_the_bot_with_a_sentence(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        playground.gateway.revoke_token()
        assert await bot.wait() == 78
        assert "DISCORD_TOKEN: Discord does not accept it" in bot.log
        assert "Traceback" not in bot.log


@pytest.mark.long
async def test_discord_away_at_the_start_is_waited_for(home: Home) -> None:
    async with Playground() as playground:
        # On a cut connection discord.py gives up at once; a 502 it would retry for half a minute.
        playground.drop_next("GET", r"/users/@me$", times=2)
        async with Bot(home, playground) as bot:
            assert await bot.end() == 0
            assert "cannot log in" in bot.log


async def test_wrong_settings_end_the_start(home: Home) -> None:
    code, _, err = await call(home, "run", IMAGEN_JOB_TIMEOUT="soon", IMAGEN_QUEUE="5")
    assert code == 78
    assert "IMAGEN_JOB_TIMEOUT: must be a valid number, got 'soon'" in err
    assert "IMAGEN_QUEUE: no such setting" in err
    assert "Traceback" not in err


async def test_without_a_token_three_lines_say_what_to_do(home: Home) -> None:
    code, out, err = await call(home, "run")
    assert code == 78
    assert out == ""
    assert len(err.strip().splitlines()) == 3
    for needed in ("DISCORD_TOKEN", "View Channels", "Add Reactions", "no privileged", "make demo"):
        assert needed in err


@pytest.mark.long
async def test_a_broken_catalog_edit_keeps_the_bot_painting(home: Home) -> None:
    async with Playground() as playground, Bot(home, playground) as bot:
        ada = playground.user("ada")
        file = home.catalog_dir / "loras.toml"
        good = file.read_text(encoding="utf-8")
        file.write_text(good + '\n[loras.newest]\nname = "Newest"\npath = "org/newest"\n')
        await eventually_offers(playground, "newest")
        file.write_text(good + "\n[loras.broken\n")
        await until(lambda: "loras.toml" in bot.log)
        assert await ada.autocomplete("imagine", "lora", "newest")
        assert await bot.end() == 0


async def eventually_offers(playground: Playground, key: str) -> None:
    user = playground.user("watcher")
    for _ in range(200):
        if await user.autocomplete("imagine", "lora", key):
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{key} was never offered")


async def until(condition: Callable[[], bool], times: int = 200) -> None:
    for _ in range(times):
        if condition():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never came true")
