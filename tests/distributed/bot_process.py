"""The bot's end of a job that does not end by itself, in a process that tests kill."""

import asyncio
import os

from tests.distributed.bench import BRIEF, LONG, lane_to, order


async def main() -> None:
    async with lane_to(os.environ["IMAGEN_BROKER"], pace=BRIEF) as lane:
        await lane.paint(order(steps=LONG))


if __name__ == "__main__":
    asyncio.run(main())
