"""main.py, which records twice a second how many tasks it has and how late its loop was."""

import asyncio
import json
import os
import runpy
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOOK = 0.01


async def _observe(file: Path) -> None:
    """A line of JSON every half second: tasks, and the longest stall of the loop since the last."""
    with file.open("a", encoding="utf-8") as out:
        while True:
            began = time.monotonic()
            late = 0.0
            while time.monotonic() < began + 0.5:
                before = time.monotonic()
                await asyncio.sleep(LOOK)
                late = max(late, time.monotonic() - before - LOOK)
            print(json.dumps({"tasks": len(asyncio.all_tasks()), "late": late}), file=out)
            out.flush()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from bot.serve.core import Core
    from tests.chaos.light_bot import shorten_pauses

    shorten_pauses()
    run = Core.run

    async def observed(core: Core, *arguments: Any) -> None:
        observing = asyncio.create_task(_observe(Path(os.environ["SOAK_FILE"])))
        try:
            await run(core, *arguments)
        finally:
            observing.cancel()

    Core.run = observed  # type: ignore[assignment]
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
