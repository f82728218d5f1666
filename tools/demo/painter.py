"""Generate with the shipped demo models and the bot's own engine."""

import hashlib
import io
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from PIL import Image

from bot.engine import Engine
from bot.order import order_of
from bot.request import ControlUse, GenerationRequest, Picture, UpscaleDraft, compose_upscale
from catalog import Catalog, read_catalog
from catalog.control_types import CANNY

ROOT: Final = Path(__file__).resolve().parents[2]
STEPS: Final = 20
CONTROLNET: Final = "demo-canny"


class Painter:
    """Generates with the bot's engine, one request at a time."""

    def __init__(self, engine: Engine, catalog: Catalog) -> None:
        self._engine = engine
        self._catalog = catalog
        self.seconds: list[float] = []

    def paint(
        self, prompt: str, seed: int, model: str = "demo", data: bytes = b"", **fields: Any
    ) -> Image.Image:
        """Generate at 128×128 with the model's defaults, except for `fields`.

        data: the file of every input image that they name.
        """
        entry = self._catalog.models[model]
        request = GenerationRequest(
            **{
                "prompt": prompt,
                "negative": "",
                "model": model,
                "steps": STEPS,
                "guidance": entry.guidance.default,
                "seed": seed,
                "width": 128,
                "height": 128,
                "scheduler": entry.scheduler,
                **fields,
            }
        )
        began = time.perf_counter()
        order = order_of(request, self._catalog, lambda _: data)
        painting = self._engine.paint(order, lambda _: None, lambda: None)
        self.seconds.append(time.perf_counter() - began)
        return painting.images[0].image

    def follow(
        self, image: Image.Image, prompt: str, seed: int, weight: float = 1.0, model: str = "demo"
    ) -> Image.Image:
        """Generate along the edges of `image`, 128×128, with the demo ControlNet."""
        data = _png(image)
        use = ControlUse(CONTROLNET, hashlib.sha256(data).hexdigest(), CANNY, weight)
        return self.paint(prompt, seed, model, data, controls=(use,))

    def enlarge(self, image: Image.Image) -> Image.Image:
        """Double the sides of `image` with the demo upscaler."""
        data = _png(image)
        picture = Picture(hashlib.sha256(data).hexdigest(), *image.size)
        draft = UpscaleDraft(image=picture, upscaler="demo-2x", scale=2.0)
        request = compose_upscale(draft, self._catalog, nsfw=False).request
        order = order_of(request, self._catalog, lambda _: data)
        return self._engine.paint(order, lambda _: None, lambda: None).images[0].image


@contextmanager
def opened() -> Iterator[Painter]:
    """The engine with the shipped models, on the CPU."""
    with tempfile.TemporaryDirectory() as temporary:
        models = Path(temporary)
        engine = Engine(models_dir=models, hashes_file=models / "hashes.json", device="cpu")
        engine.warm_up()
        yield Painter(engine, read_catalog(ROOT / "catalog", models, demos="default"))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
