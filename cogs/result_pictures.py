"""The images of results as input images."""

import asyncio
import logging
from pathlib import Path
from typing import Self

from bot.chat.client import ImagenBot
from bot.errors import Refused
from bot.files.given import Keep
from bot.files.inputs import Inputs
from bot.request import Picture
from bot.store import ImageRecord, Job, Store
from cogs.results import Results

log = logging.getLogger(__name__)


class ResultPictures:
    """Takes images of results as if they had been uploaded."""

    def __init__(self, store: Store, inputs: Inputs, images_dir: Path) -> None:
        self.inputs = inputs
        self._store = store
        self._images_dir = images_dir

    @classmethod
    def of(cls, bot: ImagenBot) -> Self:
        backend = bot.services.backend
        return cls(backend.store, backend.inputs, backend.settings.images_dir.absolute())

    async def kept(self, job: Job) -> list[ImageRecord]:
        """The images of its result whose files are still there. Raises Refused if none is."""
        if job.request.describe is not None:
            raise Refused("action.described")
        images = [image for image in await self._store.images(job.id) if image.pruned_at is None]
        if not images:
            raise Refused("action.pruned")
        return images

    async def path(self, job: Job, n: int) -> Path:
        """The file of image `n` of its result. Raises Refused if it was deleted."""
        return self._images_dir / (await self._record(job, n)).path

    async def promised(self, job: Job, n: int) -> Picture:
        """Image `n` as it will be taken, to validate a request first. Raises Refused as `take`."""
        image = await self._record(job, n)
        return Picture("", image.width, image.height)

    async def take(self, job: Job, n: int, field: str, keep: Keep) -> Picture:
        """Image `n` of its result, kept as an input. field: of the request, for errors.

        Raises Refused if its file is gone.
        """
        path = await self.path(job, n)
        try:
            data = await asyncio.to_thread(path.read_bytes)
        except OSError as error:
            log.warning("job %s: an image cannot be read: %s", job.id, error.strerror)
            raise Refused("action.pruned") from None
        sha256 = await keep(data, field)
        return Picture(sha256, *await self.inputs.size(sha256))

    async def _record(self, job: Job, n: int) -> ImageRecord:
        image = next((image for image in await self.kept(job) if image.n == n), None)
        if image is None:
            raise Refused("action.pruned")
        return image


class PictureService:
    """What makes requests of a result and its images.

    adapters_max: LoRAs that a user may combine.
    """

    def __init__(self, results: Results, pictures: ResultPictures, adapters_max: int) -> None:
        self.results = results
        self._pictures = pictures
        self._adapters_max = adapters_max

    @classmethod
    def of(cls, bot: ImagenBot) -> Self:
        """With the parts of `bot`."""
        adapters_max = bot.services.backend.settings.max_adapters
        return cls(Results.of(bot), ResultPictures.of(bot), adapters_max)
