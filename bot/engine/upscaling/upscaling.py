"""The upscaler in use, and whole images enlarged with it."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import PIL
import PIL.Image
import torch

from bot.engine import pixels
from bot.engine.environment import Place
from bot.engine.memory import Profile
from bot.engine.residency import Resident
from bot.engine.sources import Sources
from bot.engine.subject import Subject
from bot.engine.upscaling import network
from bot.engine.upscaling.network import Network
from bot.engine.upscaling.tiles import Floats, Grid, blended, grid
from bot.order import Order
from bot.painting import OnPainted, PaintedImage, Painting
from bot.progress import Progress, Stage
from bot.recipe import Recipe, Weights
from bot.request import GenerationRequest
from catalog import UpscalerEntry

TILES: Final = {Profile.FULL: 512, Profile.GB16: 384, Profile.GB11: 256, Profile.GB8: 192}
"""Pixels per side of a tile, before it is enlarged. Real-ESRGAN's features of a tile of 512, four
times enlarged, take 0.5 GiB in 16 bits, and it holds several of them at once."""
TILE_ON_CPU: Final = 192
OVERLAP: Final = 32
"""Pixels that two tiles share at least, before they are enlarged; as in ComfyUI."""

Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Enlarged:
    """image: RGB, in the size that was asked for. facts: what its bits depend on, apart from the
    upscaler and the place, for the recipe."""

    image: PIL.Image.Image
    upscaler: Weights
    facts: dict[str, str]

    def painting(
        self, request: GenerationRequest, environment: dict[str, str], each: OnPainted
    ) -> Painting:
        """It alone as the result of `request`."""
        digest = hashlib.sha256(self.image.tobytes()).hexdigest()
        painted = PaintedImage(request.image_seed(0), self.image, digest)
        each(painted)
        recipe = Recipe(request=request, checkpoint=None, environment=environment)
        return Painting((painted,), self.noted(recipe), ())

    def noted(self, recipe: Recipe) -> Recipe:
        """`recipe` with the upscaler."""
        environment = {**recipe.environment, **self.facts}
        return replace(recipe, environment=environment, upscaler=self.upscaler)


class Upscaling:
    """Enlarges images, with one upscaler kept in RAM for the next one.

    On a GPU it is there only while it is at work, and what else is there makes room for it as for
    the VAE: so a card never has to hold more for an upscaler than for decoding.
    """

    def __init__(self, place: Place, sources: Sources) -> None:
        self._place = place
        self._sources = sources
        self._kept: tuple[Any, Network] | None = None

    def free(self) -> None:
        """Forget the upscaler."""
        self._kept = None

    def enlarged(
        self,
        order: Order,
        profile: Profile,
        resident: Resident | None,
        report: Callable[[Progress], None],
        check_stop: Callable[[], None],
    ) -> Enlarged | None:
        """The image of an order's upscale, enlarged; None if it has none.

        The network runs as often as it takes to reach the size, and what is too large then is
        scaled down. The same order gives the same bytes, whatever was enlarged before it.
        resident: the model, networks of which may be on the device.
        Raises JobFailed, or what `check_stop` raises, between two tiles.
        """
        asked, entry, size = order.request.upscale, order.upscaler, order.request.final_size
        if asked is None or entry is None:
            return None
        image = pixels.decoded(order.pictures[asked.sha256])
        subject = Subject("upscaler", entry.key, report, check_stop)
        upscaler = self._ready(entry, subject)
        make_room(resident, profile)
        tile = tile_side(self._place.device, profile)
        try:
            upscaler.to(self._place.device)
            enlarged = _enlarged(image, upscaler, size, tile, self._place.device, subject)
        finally:
            if self._place.device != "cpu":
                upscaler.to("cpu")
                self._place.empty_cache()
        return Enlarged(
            enlarged,
            Weights(entry.key, upscaler.sha256, upscaler.sha256[:10]),
            {
                "pillow": PIL.__version__,
                "upscaler": upscaler.architecture,
                "upscaler_dtype": str(upscaler.dtype).removeprefix("torch."),
                "upscaler_tile": f"{tile}, overlapping by {OVERLAP}",
            },
        )

    def _ready(self, entry: UpscalerEntry, subject: Subject) -> Network:
        path = self._sources.upscaler(entry, subject)
        try:
            status = path.stat()
        except OSError as error:
            raise subject.unread(path, error) from error
        known = (entry.key, str(path), status.st_size, status.st_mtime_ns)
        if self._kept is None or self._kept[0] != known:
            self._kept = None
            subject.tick(Stage.LOADING, 0.0)
            self._kept = known, network.read(path, self._place.dtype, subject)
        return self._kept[1]


def tile_side(device: str, profile: Profile) -> int:
    """Pixels per side of a tile, before it is enlarged."""
    return TILE_ON_CPU if device == "cpu" else TILES[profile]


def make_room(resident: Resident | None, profile: Profile) -> None:
    """Take from the smaller cards what is not needed while another network is at work, as for
    decoding. resident: the model, networks of which may be on the device."""
    if resident is None or profile in (Profile.FULL, Profile.GB16):
        return
    resident.park(*resident.family.text_encoders)
    if profile is Profile.GB8:
        resident.park(resident.family.denoiser)


@torch.inference_mode()
def _enlarged(
    image: PIL.Image.Image,
    upscaler: Network,
    size: Size,
    tile: int,
    device: str,
    subject: Subject,
) -> PIL.Image.Image:
    runs: list[tuple[Size, Grid]] = []
    sides = image.size
    while sides[0] < size[0] or sides[1] < size[1]:
        runs.append((sides, grid(sides, tile, OVERLAP)))
        sides = (sides[0] * upscaler.factor, sides[1] * upscaler.factor)
    total, done = sum(tiles.count for _, tiles in runs), 0

    for sides, tiles in runs:
        source = np.asarray(image)

        def make(box: tuple[int, int, int, int], source: Any = source) -> Floats:
            nonlocal done
            subject.check_stop()
            subject.report(Progress(Stage.UPSCALING, step=done, steps=total))
            left, top, right, bottom = box
            made = upscaler.enlarged(source[top:bottom, left:right] / np.float32(255), device)
            done += 1
            return made

        image = blended(sides, tiles, upscaler.factor, make)
    subject.check_stop()
    subject.report(Progress(Stage.UPSCALING, step=done, steps=total))
    if image.size != size:
        image = image.resize(size, PIL.Image.Resampling.LANCZOS)
    return image
