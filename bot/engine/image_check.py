"""ImageCheck: whether images are for everyone. Importing it does not import torch.

It runs on the CPU, in 32 bits and in a thread of its own: the GPU paints meanwhile, and what it
says depends on nothing but the image.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import PIL.Image

from bot.engine.importing import prepare_libraries, sparing_the_event_loop
from catalog import ImageCheckEntry

if TYPE_CHECKING:
    from bot.engine.safety_checker import SafetyChecker


class ImageCheck:
    """Holds the network once it was needed. Call it from one thread.

    models_dir, hub_endpoint, hub_token: as for Engine.
    """

    def __init__(
        self, models_dir: Path, hub_endpoint: str | None = None, hub_token: str | None = None
    ) -> None:
        self._models_dir = models_dir
        self._hub_endpoint = hub_endpoint
        self._hub_token = hub_token
        self._checker: SafetyChecker | None = None

    def flags(self, entry: ImageCheckEntry, images: Sequence[PIL.Image.Image]) -> tuple[bool, ...]:
        """For each of `images`, in RGB: whether it is probably not for everyone.

        Blocks, and downloads the network if it is not there. Raises JobFailed if it cannot be used,
        OSError, or what torch raises.
        """
        return self._ready().flags(entry, images)

    def _ready(self) -> "SafetyChecker":
        if self._checker is None:
            with sparing_the_event_loop():
                prepare_libraries()
                from bot.engine.environment import settle
                from bot.engine.hub import Hub
                from bot.engine.safety_checker import SafetyChecker
                from bot.engine.sources import Sources

            settle()
            hub = Hub(self._models_dir / "hub", self._hub_endpoint, self._hub_token)
            self._checker = SafetyChecker(Sources(self._models_dir, hub, half=False))
        return self._checker
