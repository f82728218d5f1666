"""main.py with a light engine and short pauses; everything else is the bot as it is shipped, and so
is everything else of a worker: it runs whatever main.py is told to run.

The process, the store, the queue, the consumer and its thread, the files, the delivery and
discord.py are the real ones. The engine is replaced in the one place that builds it
(`bot.backend.build_engine`), and in the process that it has of its own, if it has one
(light_process.py), because importing torch and loading a model on each of many starts
would take nearly all of the time. The long form of the chaos (`make chaos`) runs hurried_bot.py,
which changes nothing but the pauses.
"""

import hashlib
import os
import runpy
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
STEP = 0.02
"""Seconds per step of a light image."""
SILENCE = 3.0
"""Seconds without a sign of life after which a worker counts as lost."""


def pixels(seed: int, width: int, height: int) -> bytes:
    """The light engine's image: different for each seed, always the same for one."""
    return hashlib.shake_256(str(seed).encode()).digest(width * height * 3)


class LightEngine:
    """Generates instantly from the seed; for some prompts it does the worst that engines do."""

    loaded = "demo"
    preview_interval: float | None = None

    def __init__(self, **_: Any) -> None:
        from bot.recipe import Environment

        self.environment = Environment()

    def warm_up(self) -> None: ...

    def preload(self, model: Any, check_stop: Callable[[], None]) -> None: ...

    def prefetch(self, adapters: Any) -> None: ...

    def rest(self) -> None: ...

    def gpu_memory(self) -> dict[str, int]:
        return {}

    def renew(self) -> bool:
        return False

    def close(self) -> None: ...

    def paint(
        self,
        order: Any,
        report: Callable[[Any], None],
        check_stop: Callable[[], None],
        painted: Callable[[Any], None],
    ) -> Any:
        from bot.errors import EngineLost, JobFailed, Loss
        from bot.painting import PaintedImage, Painting
        from bot.progress import Progress, Stage
        from bot.recipe import Recipe
        from tools.digests import weights_of

        request = order.request
        for step in range(1, request.steps + 1):
            check_stop()
            time.sleep(STEP)
            report(Progress(Stage.PAINTING, step=step, steps=request.steps))
            if step == 2:
                if "kill the process" in request.prompt:
                    os.abort()
                if "run out of memory" in request.prompt:
                    os.kill(os.getpid(), signal.SIGKILL)
                if "lose the device" in request.prompt:
                    raise EngineLost(Loss.DEVICE, "the GPU failed: device-side assert triggered")
                if "too large" in request.prompt and request.width * request.height > 2**20:
                    width, height = request.final_size
                    raise JobFailed("memory.out", width=width, height=height)
                while "hang" in request.prompt:
                    time.sleep(3600)
        images = []
        for n in range(request.count):
            seed = request.image_seed(n)
            data = pixels(seed, request.width, request.height)
            image = Image.frombytes("RGB", (request.width, request.height), data)
            images.append(PaintedImage(seed, image, hashlib.sha256(data).hexdigest()))
            painted(images[-1])
        recipe = Recipe(
            request=request,
            checkpoint=weights_of(order.model),
            adapters=(),
            scheduler={"class": request.scheduler},
            environment={"torch": "none"},
        )
        return Painting(tuple(images), recipe, ())


def shorten_pauses() -> None:
    """Shortens the pauses, which can be minutes, to fractions of a second."""
    from bot.backoff import Backoff
    from bot.chat import client, connection, turns
    from bot.chat.delivery import outbox, sender
    from bot.process import restart
    from bot.serve import discord_bot
    from bot.store import database, retrying
    from bot.worker import attempt, painter

    turns.APART = 0.3
    connection.RETRY_AFTER = Backoff(0.05, 0.1, 0.2)
    discord_bot.EDIT_INTERVAL = 0.2  # type: ignore[attr-defined]
    retrying.PAUSES = Backoff(0.1, 0.3)
    outbox.RETRY_AFTER = Backoff(0.05, 0.1, 0.3)
    restart.PAUSES = Backoff(0)
    if "CHAOS_CONNECTIONS" in os.environ:
        client.CONNECTIONS = int(os.environ["CHAOS_CONNECTIONS"])  # type: ignore[attr-defined]
    if "CHAOS_WATCHES_CLOSELY" in os.environ:
        # A step that takes longer than half a second counts as hanging.
        attempt.GRACE = attempt.STEP_MIN = 0.5
        painter.WATCH = 0.05
    if "CHAOS_DATABASES_ARE_LARGE" in os.environ:
        database.LOOKED_OVER_MAX = 0
    if "CHAOS_FORGETS_NONCES" in os.environ:
        # Every retry has to look for the first message.
        sender.NONCE_KEPT = -1000


def save_later(held: Path) -> None:
    """Write no image for as long as `held` exists."""
    from bot.files.images import save_images as really
    from bot.worker import results

    def save_images(*arguments: Any) -> Any:
        while held.exists():
            time.sleep(STEP)
        return really(*arguments)

    results.save_images = save_images  # type: ignore[attr-defined, assignment]


def stand_still_once(mark: Path) -> None:
    """Block the event loop as soon as the bot is online, unless `mark` exists."""
    from bot.chat.client import ImagenBot
    from bot.process import watchdog

    if not mark.exists():
        watchdog.LOOK = 0.25
    on_ready: Any = ImagenBot.on_ready

    def stuck(bot: ImagenBot) -> Any:
        if not mark.exists():
            mark.touch()
            time.sleep(3600)
        return on_ready(bot)

    ImagenBot.on_ready = stuck  # type: ignore[method-assign, assignment]


def run_engines_apart() -> None:
    """Have the light engine run in processes of their own, as the real one would."""
    from bot import engine_process
    from bot.backoff import Backoff
    from bot.worker import engine_thread

    engine_process.ProcessEngine = partial(  # type: ignore[assignment, misc]
        engine_process.ProcessEngine, module="tests.chaos.light_process"
    )
    engine_thread.AGAIN = Backoff(0, 0.1, 0.5)


def hurry_over_the_broker() -> None:
    """Have bot and workers hear of each other more often, and lose patience sooner."""
    from bot.backoff import Backoff
    from bot.cli import worker
    from bot.distributed import elsewhere, pace
    from bot.worker import engine_thread

    brief = pace.Pace(beat=0.4, silence=SILENCE, refresh=0.1, kept=60.0)
    really = elsewhere.Elsewhere.run

    def run(self: elsewhere.Elsewhere) -> Any:
        self.pace = brief
        return really(self)

    elsewhere.Elsewhere.run = run  # type: ignore[method-assign]
    worker.Pace = lambda: brief  # type: ignore[assignment, attr-defined, misc]
    engine_thread.AGAIN = Backoff(0, 0.5, 1)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    shorten_pauses()
    if os.environ.get("IMAGEN_ENGINE") == "process":
        run_engines_apart()
    if "IMAGEN_BROKER" in os.environ:
        hurry_over_the_broker()
    if "CHAOS_STANDS_STILL_ONCE" in os.environ:
        stand_still_once(Path(os.environ["CHAOS_STANDS_STILL_ONCE"]))
    if "CHAOS_HOLDS_IMAGES" in os.environ:
        save_later(Path(os.environ["CHAOS_HOLDS_IMAGES"]))
    from bot import backend

    backend.build_engine = lambda *_: LightEngine()  # type: ignore[assignment]
    if "CHAOS_HAS_NO_DEVICE" in os.environ:
        backend.devices_of = lambda *_: ()
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
