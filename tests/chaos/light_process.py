"""Run as an engine process: the real one, around the light engine."""

from unittest.mock import patch

from bot.engine_process import child
from tests.chaos.light_bot import LightEngine

if __name__ == "__main__":
    with patch.object(child, "Engine", LightEngine):
        child.main()
