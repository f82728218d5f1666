"""Generated images on disk, written atomically."""

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from bot.files.atomic import write_whole
from bot.files.metadata import compress_png, describe_png
from bot.painting import PaintedImage, Painting
from bot.request import GenerationRequest
from bot.store import ImageRecord, Job


def image_name(request: GenerationRequest, seed: int, n: int, count: int) -> str:
    """`sdxl-base-42.png`; for several, `sdxl-base-42-1.png`, `sdxl-base-43-2.png`, … A variation of
    seed 7 is `sdxl-base-7-v42.png`.

    seed: as in a PaintedImage. n: the image's number of `count`.
    """
    seeds = f"{seed}" if request.variation is None else f"{request.base_seed}-v{seed}"
    name = f"{request.made_with}-{seeds}"
    return f"{name}.png" if count == 1 else f"{name}-{n + 1}.png"


class Compressed:
    """The images of one job, compressed by `pool` while the next ones are generated.

    At most one per seed is kept: an image that is generated again replaces its predecessor.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._begun: dict[int, tuple[PaintedImage, Future[bytes]]] = {}

    def begin(self, painted: PaintedImage) -> None:
        """Start compressing an image. Returns at once."""
        future = self._pool.submit(compress_png, painted.image)
        before = self._begun.get(painted.seed)
        self._begun[painted.seed] = painted, future
        if before is not None:
            before[1].cancel()

    def of(self, painted: PaintedImage) -> bytes:
        """What `compress_png` returns for it. Blocks while it is being compressed."""
        begun = self._begun.get(painted.seed)
        # The same seed is not enough: it may have been generated again with another plan.
        if begun is None or begun[0] is not painted:
            return compress_png(painted.image)
        return begun[1].result()

    def drop(self) -> None:
        """Begin no more of them: their job has ended."""
        for _, future in self._begun.values():
            future.cancel()


def save_images(
    painting: Painting,
    job: Job,
    folder: Path,
    compressed: Callable[[PaintedImage], bytes] = lambda painted: compress_png(painted.image),
) -> tuple[ImageRecord, ...]:
    """Write each image to `folder/<job id>/` as a PNG with its recipe, synced to disk.

    compressed: each image as `compress_png` makes it. Raises OSError if writing fails.
    """
    count = len(painting.images)
    return tuple(
        save_png(
            describe_png(compressed(painted), painting.recipe, painted.seed),
            painted,
            folder / job.id / image_name(job.request, painted.seed, n, count),
            n,
        )
        for n, painted in enumerate(painting.images)
    )


def save_png(data: bytes, painted: PaintedImage, path: Path, n: int) -> ImageRecord:
    """Write `data`, the PNG of `painted`, to `path`, which is in a folder of its job within that of
    all images. n: its number in the job. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, data)
    return ImageRecord(
        n=n,
        seed=painted.seed,
        path=f"{path.parent.name}/{path.name}",
        bytes=len(data),
        width=painted.image.width,
        height=painted.image.height,
        sha256=hashlib.sha256(data).hexdigest(),
        pixels_sha256=painted.pixels_sha256,
    )


def discard_images(job: Job, folder: Path) -> None:
    """Delete what `save_images` wrote for a job whose result is discarded."""
    shutil.rmtree(folder / job.id, ignore_errors=True)
