"""light_bot.py that collects its garbage ten times a second: objects left open then complain."""

import gc
import runpy
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def _collect() -> None:
    while True:
        time.sleep(0.1)
        gc.collect()


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    threading.Thread(target=_collect, daemon=True).start()
    runpy.run_path(str(Path(__file__).with_name("light_bot.py")), run_name="__main__")
