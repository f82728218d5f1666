"""main.py unchanged, but with short pauses between retries."""

import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    from tests.chaos.light_bot import shorten_pauses

    shorten_pauses()
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
