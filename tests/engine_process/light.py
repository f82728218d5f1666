"""Run as an engine process: the real one, around an engine without torch that does what the prompt
says. It starts in a second, and some of its prompts do the worst that engines do."""

import ctypes
import errno
import faulthandler
import hashlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

import PIL.Image

from bot.engine_process import child, logs
from bot.errors import EngineLost, JobFailed, Loss
from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting
from bot.progress import Notice, Progress, Stage
from bot.recipe import Environment, Recipe, Weights
from catalog import AdapterEntry, ModelEntry

log = logging.getLogger("bot.engine.light")

FLOOD = 1_000
CHECKED = 0.005
"""Seconds between two checks of a prompt that waits to be stopped."""


def image_of(order: Order, number: int) -> PaintedImage:
    size = order.request.final_size
    seed = order.request.image_seed(number)
    image = PIL.Image.new("RGB", size, (seed % 256, number, 3))
    return PaintedImage(seed, image, hashlib.sha256(image.tobytes()).hexdigest())


def painting_of(order: Order) -> Painting:
    recipe = Recipe(
        request=order.request,
        checkpoint=Weights("demo", "a" * 64, "a" * 10),
        environment={"device": "light"},
    )
    images = tuple(image_of(order, number) for number in range(order.request.count))
    return Painting(images, recipe, (Notice("memory.lowered", {"profile": "8gb"}),))


AETHER = Environment("aether", {"sdxl": {}, "zimage": {"transformer_dtype": "bfloat16, int8"}})


class LightEngine:
    def __init__(self, **options: Any) -> None:
        self.options = options
        self.loaded: str | None = None
        self.environment = Environment()
        self.preview_interval: float | None = None
        self.fetched: list[str] = []

    def warm_up(self) -> None:
        self.environment = AETHER
        os.write(1, b"written to stdout\n")
        log.debug("warming up on %s", self.options["device"])

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None:
        if model.name == "Slow":
            _until_stopped(check_stop)
        self.loaded = model.key

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        assert order.model is not None
        self.loaded = order.model.key
        request = order.request
        word, _, value = request.prompt.partition(" ")
        if (extra := getattr(self, f"_{word}", None)) is not None:
            done: Painting | None = extra(value, order, report, check_stop, painted)
            if done is not None:
                return done
        for number in range(request.count):
            for step in range(request.steps + 1):
                check_stop()
                report(_step(step, number, order))
            painted(image_of(order, number))
        return painting_of(order)

    def gpu_memory(self) -> dict[str, int]:
        if self.loaded is None:
            raise RuntimeError("no driver")
        if self.loaded == "stuck":
            threading.Event().wait()
        return {"total": 24 * 2**30, "free": len(self.fetched)}

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None:
        self.fetched += [entry.key for entry in adapters]
        log.info("fetched %s", ", ".join(self.fetched))
        if "broken" in self.fetched:
            raise RuntimeError("the disk")

    def rest(self) -> None:
        self.loaded = None

    # What prompts begin with

    def _wait(self, _: str, order: Order, report: Any, check_stop: Any, painted: Any) -> None:
        report(_step(1, 0, order))
        _until_stopped(check_stop)

    def _deaf(self, _: str, order: Order, report: Any, __: Any, painted: Any) -> Painting:
        """It does not look whether it is stopped, but takes its time."""
        report(_step(1, 0, order))
        time.sleep(0.3)
        painting = painting_of(order)
        for image in painting.images:
            painted(image)
        return painting

    def _hang(self, _: str, order: Order, report: Any, *__: Any) -> None:
        report(_step(1, 0, order))
        threading.Event().wait()

    def _stuck(self, _: str, order: Order, report: Any, *__: Any) -> None:
        """Within a driver that keeps the interpreter's lock."""
        report(_step(1, 0, order))
        time.sleep(0.2)  # the report is on its way
        ctypes.PyDLL(None).sleep(600)

    def _flood(self, _: str, order: Order, report: Any, *__: Any) -> None:
        for _number in range(FLOOD):
            report(_step(1, 0, order))

    def _die(self, how: str, *_: Any) -> None:
        if how == "SEGV":
            faulthandler._sigsegv()  # type: ignore[attr-defined]
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), getattr(signal, f"SIG{how}"))
        time.sleep(30)

    def _fail(self, how: str, order: Order, *_: Any) -> None:
        raise {
            "job": JobFailed("memory.out", width=8, height=8),
            "disk": OSError(errno.EIO, "a disk", "demo.safetensors"),
            "device": EngineLost(Loss.DEVICE, "the GPU failed: an assert"),
            "oddly": KeyError(order.request.prompt),
        }[how.split()[0]]

    def _say(self, what: str, order: Order, *_: Any) -> None:
        log.info("said %s", order.request.prompt)
        log.debug("whispered")
        try:
            raise ValueError(order.request.prompt)
        except ValueError:
            log.exception("raised")
        logging.getLogger("library").warning("%s from a library", 1)
        sys.stdout.write(f"printed {order.request.prompt}\n")
        sys.stdout.flush()

    def _cut(self, _: str, order: Order, *__: Any) -> None:
        """A line whose end, in the middle of the prompt, is one character too many."""
        room = logs.LINE_MAX - len(order.request.prompt) + 1
        log.info("%s%s", "x" * room, order.request.prompt)

    def _leave(self, *_: Any) -> None:
        """A process of its own that goes on."""
        code = "import time; time.sleep(600)"
        left = subprocess.Popen([sys.executable, "-c", code], stdout=sys.stderr)
        log.warning("left %d", left.pid)


def _step(step: int, number: int, order: Order) -> Progress:
    request = order.request
    return Progress(
        Stage.PAINTING, step=step, steps=request.steps, image=number + 1, count=request.count
    )


def _until_stopped(check_stop: Callable[[], None]) -> None:
    while True:
        check_stop()
        time.sleep(CHECKED)


if __name__ == "__main__":
    with patch.object(child, "Engine", LightEngine):
        child.main()
