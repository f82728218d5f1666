"""What a comparison's job has for each of its cells, and what its result shows."""

from collections.abc import Sequence
from typing import Final

from bot.progress import Notice
from bot.request import Cell, GenerationRequest, cells
from bot.store.jobs import ImageRecord, Job, JobState

CELL: Final = "cell"
"""The parameter of a comparison's warning that says which cell it is about, by number."""
CELL_FAILED: Final = "compare.failed"
"""The warning that a cell is not there: `values` says which, and `reason` is the code of why."""


def sheet_number(request: GenerationRequest) -> int:
    """The `n` of a comparison's sheet: the cells have those before it."""
    return request.images


def shown_images(job: Job, images: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    """Those of a job's images that its result shows: of a comparison, only the sheet."""
    if job.request.comparison is None:
        return tuple(images)
    return tuple(image for image in images if image.n == sheet_number(job.request))


def given_images(job: Job, images: Sequence[ImageRecord]) -> tuple[ImageRecord, ...]:
    """Those of a job's images that a caller or a command line is given: of a comparison, the sheet
    and then its cells, once it is done."""
    if job.request.comparison is None:
        return tuple(images)
    if job.state not in (JobState.DONE, JobState.DELIVERED):
        return ()  # those of one that was cancelled are about to be deleted
    sheet = shown_images(job, images)
    return *sheet, *(image for image in images if image not in sheet)


def cell_of_image(request: GenerationRequest, n: int) -> Cell | None:
    """The cell of a comparison whose image has that `n`; None for its sheet, and elsewhere."""
    return next((cell for cell in cells(request) if cell.n == n), None)


def shown_warnings(job: Job) -> tuple[Notice, ...]:
    """Those of a job's warnings that its result shows: what several cells have, only once."""
    if job.request.comparison is None:
        return job.warnings
    shown: list[Notice] = []
    for notice in map(_without_cell, job.warnings):
        if notice not in shown:
            shown.append(notice)
    return tuple(shown)


def warnings_of(job: Job, n: int) -> tuple[Notice, ...]:
    """Those of a comparison's warnings that are about the image of cell `n`."""
    return tuple(
        _without_cell(notice)
        for notice in job.warnings
        if notice.params.get(CELL) == n and notice.code != CELL_FAILED
    )


def _without_cell(notice: Notice) -> Notice:
    return Notice(notice.code, {name: v for name, v in notice.params.items() if name != CELL})
