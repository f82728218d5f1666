"""What a cancelled comparison has generated so far is not kept."""

import asyncio
from pathlib import Path

from bot.files.images import discard_images
from bot.progress import Progress
from bot.store import Job, JobState, Store


class CellsOfCancelled:
    """A JobObserver that deletes the cells of cancelled comparisons at once.

    Like any cancelled job, such a comparison counts towards no quota, so nothing of it is given.
    """

    def __init__(self, store: Store, images_dir: Path) -> None:
        self._store = store
        self._images_dir = images_dir

    def moved(self, places: dict[str, Progress]) -> None: ...

    def progressed(self, job: Job, progress: Progress) -> None: ...

    async def finished(self, job: Job) -> None: ...

    async def failed(self, job: Job) -> None:
        if job.state is JobState.CANCELLED and job.request.comparison is not None:
            await asyncio.to_thread(discard_images, job, self._images_dir)
            await self._store.cells.drop(job)
