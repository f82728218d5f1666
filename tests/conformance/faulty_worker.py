"""Run as a worker: the real one, in which what an order's name says goes wrong.

`python -m tests.conformance.faulty_worker URL OPTIONS`, of which the second is a file.
"""

import asyncio
import os
import signal
import sys
from contextlib import nullcontext
from pathlib import Path

from bot.distributed.announcement import DeviceState
from bot.distributed.broker import Broker
from bot.distributed.worker import Equipment, Worker
from bot.engine import Engine
from bot.engine.importing import prepare_libraries
from bot.wire.options import OPTIONS
from tests.conformance import faults
from tests.conformance.elsewhere import PACE


async def main(url: str, options: bytes) -> None:
    engine = Engine(**OPTIONS.decode(options).arguments())
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    worker = Worker(
        name="one",
        broker=Broker.at(url),
        equipment=[Equipment(engine, lambda: DeviceState("cpu"), engine.warm_up)],
        complete=lambda order, _, __: nullcontext(order),
        digests=frozenset,
        downloads=lambda: 0,
        fetches=False,
        # So that the test knows which of its workers it hears.
        libraries={"process": str(os.getpid())},
        timeout=600,
        pace=PACE,
    )
    await worker.run(stop)


if __name__ == "__main__":
    prepare_libraries()
    faults.install()
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]).read_bytes()))
