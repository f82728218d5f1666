"""StandIn: an engine that generates nothing: it hands over an image that was there before.

What a call takes with it is what it takes to get there and back. Run as a module, it is what an
engine process runs in place of its own engine.
"""

import hashlib
import random
from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import patch

from PIL import Image

from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting, unheard
from bot.progress import Progress, Stage
from bot.recipe import Environment, Recipe
from catalog import AdapterEntry, ModelEntry
from tools.digests import weights_of


class StandIn:
    """With the methods of `bot.engine.Engine`, and its options, which it does not need."""

    loaded: str | None = None
    environment = Environment()
    preview_interval: float | None = None

    def __init__(self, **_: Any) -> None:
        self._images: dict[tuple[int, int], Image.Image] = {}

    def warm_up(self) -> None: ...

    def preload(self, model: ModelEntry, check_stop: Callable[[], None]) -> None: ...

    def prefetch(self, adapters: Sequence[AdapterEntry]) -> None: ...

    def rest(self) -> None: ...

    def close(self) -> None: ...

    def renew(self) -> bool:
        return False

    def gpu_memory(self) -> dict[str, int]:
        return {}

    def paint(
        self,
        order: Order,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
        painted: OnPainted = unheard,
    ) -> Painting:
        """As many reports as it has steps, and noise in its size, with its digest."""
        request = order.request
        image = self._image(request.final_size)
        for step in range(request.steps + 1):
            check_stop()
            report(Progress(Stage.PAINTING, step=step, steps=request.steps))
        digest = hashlib.sha256(image.tobytes()).hexdigest()
        done = PaintedImage(request.seed, image, digest)
        painted(done)
        checkpoint = weights_of(order.model) if order.model else None
        return Painting((done,), Recipe(request=request, checkpoint=checkpoint), ())

    def _image(self, size: tuple[int, int]) -> Image.Image:
        if size not in self._images:
            width, height = size
            pixels = random.Random(0).randbytes(width * height * 3)
            self._images[size] = Image.frombytes("RGB", size, pixels)
        return self._images[size]


if __name__ == "__main__":
    from bot.engine_process import child

    with patch.object(child, "Engine", StandIn):
        child.main()
