"""A worker in a process of its own, which tests can kill and stall; its engine takes its time.

`python -m tests.distributed.worker_process NAME SECONDS_PER_STEP CLOCK_AHEAD BEAT SILENCE`, with
the broker's URL in IMAGEN_BROKER. It prints a line for every step, which says whose it is.
"""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable

from bot.distributed.pace import Pace
from bot.order import Order
from bot.painting import OnPainted, Painting
from bot.progress import Progress
from tests.distributed.bench import SteppingEngine, worker


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Printing(SteppingEngine):
    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted,
    ) -> Painting:
        def said(progress: Progress) -> None:
            tell(f"{order.name} {progress.step}")
            report(progress)

        try:
            return super().paint(order, said, check_stop, painted)
        finally:
            tell(f"{order.name} ended")


async def main(name: str, seconds: float, pace: Pace) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await worker(os.environ["IMAGEN_BROKER"], Printing(seconds), name=name, pace=pace).run(stop)


if __name__ == "__main__":
    name, seconds, ahead, beat, silence = sys.argv[1:]
    if float(ahead):
        real = time.time
        time.time = lambda: real() + float(ahead)
    logging.basicConfig(level=logging.INFO)
    pace = Pace(beat=float(beat), silence=float(silence), refresh=0.05, kept=60.0)
    asyncio.run(main(name, float(seconds), pace))
