"""What goes wrong where images are generated, if the name of an order says so.

The name changes no byte of its images, so that they can be compared.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from bot.order import Order
from bot.progress import Progress, Stage

GATE: Final = "gate"
"""At its third step it goes on only once it is stopped."""
MEMORY_ONCE: Final = "memory-once"
MEMORY: Final = "memory"
DEVICE: Final = "device"
ODDLY: Final = "oddly"
HANG: Final = "hang"
KILLED: Final = "killed"
GPU_MEMORY: Final = {"total": 8 * 2**30, "free": 2**30}
"""What its driver says, whether there is one or not."""


def named(order: Order, fault: str) -> Order:
    return replace(order, name=f"{fault}:1")


def install(patch: Callable[[object, str, Any], None] = setattr) -> None:
    """Have the engines of this process go wrong. patch: sets an attribute."""
    from bot.engine.environment import Place
    from bot.engine.pipeline import Pipeline

    plain = Pipeline.paint
    failed: set[str] = set()

    def paint(
        self: Any,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        *rest: Any,
    ) -> Any:
        fault = order.name.partition(":")[0]
        if fault == GATE:
            report = _gated(report, check_stop)
        elif fault != MEMORY_ONCE or fault not in failed:
            failed.add(fault)
            _go_wrong(fault, order, report)
        return plain(self, order, report, check_stop, *rest)

    patch(Pipeline, "paint", paint)
    patch(Place, "memory", lambda _: dict(GPU_MEMORY))


def _gated(
    report: Callable[[Progress], None], check_stop: Callable[[], None]
) -> Callable[[Progress], None]:
    def reported(progress: Progress) -> None:
        report(progress)
        while progress.stage is Stage.PAINTING and progress.step == 3:
            check_stop()
            time.sleep(0.01)

    return reported


def _go_wrong(fault: str, order: Order, report: Callable[[Progress], None]) -> None:
    import torch

    match fault:
        case "memory-once" | "memory":
            raise torch.OutOfMemoryError("CUDA out of memory")
        case "device":
            raise torch.AcceleratorError("CUDA error: device-side assert triggered\nCompile with")
        case "oddly":
            raise KeyError(order.request.prompt)
        case "hang":
            report(Progress(Stage.PAINTING, step=1, steps=2))
            threading.Event().wait()
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
