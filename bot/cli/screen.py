"""Whether a browser can be opened here; `python -m bot.cli.screen` exits with 0 if so."""

import os
import sys
from collections.abc import Mapping


def has_screen(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> bool:
    """Whether there is a desktop with somebody at it; text browsers would take the terminal."""
    if environment.get("CI"):
        return False
    if platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


if __name__ == "__main__":
    sys.exit(0 if has_screen() else 1)
