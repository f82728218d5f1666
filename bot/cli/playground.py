"""`main.py playground`: the real bot on a local web page, without Discord or a token."""

import asyncio
import os
import signal
import sys
import tempfile
import webbrowser
from asyncio.subprocess import Process
from contextlib import AsyncExitStack
from pathlib import Path
from threading import Thread

from pydantic import SecretStr

from bot.cli.screen import has_screen
from bot.process.signals import CLOSE_WITHIN, on_signals
from bot.settings import Settings, names_of
from playground import Page, Playground, furnish

MAIN = Path(__file__).resolve().parents[2] / "main.py"
EXAMPLES = (
    "/imagine prompt: a red star on a blue background",
    "/imagine prompt: a red star on a blue background lora: sketch:0.8",
    "/imagine prompt: two small green circles on a black background model: demo-ink seed: 7",
    "/models",
    "/loras",
)
"""Commands that the page suggests first."""
ENDED_BY_ITSELF, BAD_PORT = 1, 2


async def playground(settings: Settings, *, port: int, browser: bool) -> int:
    """Serve the page and run the bot against it until interrupted; returns the exit code."""
    stop = asyncio.Event()
    on_signals(stop.set, *_endings())
    async with AsyncExitStack() as parts:
        folder = parts.enter_context(tempfile.TemporaryDirectory(prefix="imagen-playground-"))
        discord = await parts.enter_async_context(Playground())
        furnish(discord)
        try:
            page = await parts.enter_async_context(Page(discord, port=port, examples=EXAMPLES))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            print(f"--port: {port} cannot be used: {reason}", file=sys.stderr)
            return BAD_PORT
        print(f"Playground: {page.url}  (Ctrl-C to stop)", flush=True)
        bot = await _start(_settings_of_the_bot(settings, discord, Path(folder)))
        parts.push_async_callback(_end, bot)
        if browser and has_screen():
            # Some browsers block until they are closed.
            Thread(target=webbrowser.open, args=(page.url,), daemon=True).start()
        return await _watch(discord, bot, stop)


def _settings_of_the_bot(settings: Settings, discord: Playground, folder: Path) -> Settings:
    """The owner's settings, changed to connect the bot to the playground and to nothing else.

    Its database is temporary, like the playground's channels.
    """
    chosen = "log_level" in settings.model_fields_set
    return settings.model_copy(
        update={
            "token": SecretStr(discord.token),
            "api_url": discord.api_url,
            "proxy": None,
            "guild_id": None,
            "demo": True,
            # Nobody there has the owner's roles, and the owner's real bot may be using that port.
            "metrics_port": None,
            "allowed_roles": (),
            "priority_roles": {},
            "blocked_users": (),
            "direct_messages": True,
            "user_install": True,
            "admin_servers": (discord.guild.id,),
            # The page shows what the bot does, the terminal only what goes wrong.
            "log_level": settings.log_level if chosen else "WARNING",
            "data_dir": folder,
            "catalog_dir": settings.catalog_dir.absolute(),
            "models_dir": settings.models_dir.absolute(),
        }
    )


async def _start(settings: Settings) -> Process:
    """`main.py run` with these settings and no others: its working directory has no `.env`."""
    outer = {n: v for n, v in os.environ.items() if n.upper() not in names_of()}
    # Ctrl-C must only reach this process, which then stops the bot itself.
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(MAIN),
        "run",
        cwd=settings.data_dir,
        env={**outer, **settings.variables()},
        process_group=0 if os.name == "posix" else None,
    )


async def _watch(discord: Playground, bot: Process, stop: asyncio.Event) -> int:
    """Wait for the bot to exit or for `stop`; returns the exit code."""
    ended = asyncio.create_task(bot.wait())
    stopping = asyncio.create_task(stop.wait())
    online = asyncio.create_task(_report(discord))
    try:
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (ended, stopping, online):
            task.cancel()
    if stop.is_set():
        return 0
    print(f"The bot exited unexpectedly, with code {bot.returncode}.", file=sys.stderr)
    return bot.returncode or ENDED_BY_ITSELF


async def _report(discord: Playground) -> None:
    await discord.wait_for(lambda: discord.online and discord.commands, timeout=float("inf"))
    print("The bot is online. Type /imagine on the page.", flush=True)


async def _end(bot: Process) -> None:
    if bot.returncode is not None:
        return
    bot.terminate()
    try:
        await asyncio.wait_for(bot.wait(), CLOSE_WITHIN + 1)
    except TimeoutError:
        bot.kill()
        await bot.wait()


def _endings() -> list[signal.Signals]:
    """The signals that stop it. SIGHUP too: a closed terminal does not signal the bot's group."""
    endings = [signal.SIGINT, signal.SIGTERM]
    # Under nohup it is ignored, and must stay ignored.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        endings.append(signal.SIGHUP)
    return endings
