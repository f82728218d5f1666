"""Comparing: one attempt at a comparison, whose cells are generated and kept one after the other.

A cell that is there stays: after a restart, only those that are missing are generated. One that
cannot be generated is shown as failed on the sheet, which is made as long as there is any other;
but if a larger GPU may have enough memory for it, the job goes on there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import PIL.Image

from bot.errors import (
    EngineLost,
    JobFailed,
    NotHere,
    PaintStopped,
    StopReason,
    TooSmall,
    UserError,
)
from bot.files.images import Compressed, image_name, save_png
from bot.files.metadata import describe_png, read_png
from bot.files.sheets.preview import FilledSheet
from bot.log import traceback_without
from bot.painting import OnPainted, PaintedImage, Painting
from bot.progress import Notice, Progress, Stage
from bot.queue import Lane
from bot.recipe import Recipe
from bot.request import Cell, GenerationRequest, cells, paint_order
from bot.store import CELL, CELL_FAILED, Failure, ImageRecord, Store, files_error
from bot.store.retrying import keep_trying
from bot.worker.attempt import Attempt
from bot.worker.image_check import OBJECTIONS, Inspector
from bot.worker.results import PaintedSheet

log = logging.getLogger(__name__)

Adapt = Callable[[Progress], Progress]
Paint = Callable[[Attempt, GenerationRequest, Adapt, OnPainted], Awaitable[Painting]]
"""Generates one request within an attempt. Its reports pass through the third argument."""


@dataclass
class _Sheet:
    """What there is of a comparison so far.

    images, recipes: by the number of the cell. failures: why a cell is not there.
    """

    job_id: str
    images: dict[int, ImageRecord] = field(default_factory=dict)
    recipes: dict[int, Recipe] = field(default_factory=dict)
    failures: dict[int, Failure] = field(default_factory=dict)
    warnings: list[Notice] = field(default_factory=list)


class Comparing:
    """Of one lane.

    paint: generates one image, patiently. previews: whether people see unfinished images.
    too_small: returns the lane's memory if an attempt that fails so is to go on on a larger one.
    """

    def __init__(
        self,
        store: Store,
        images_dir: Path,
        compressor: ThreadPoolExecutor,
        paint: Paint,
        lane: Lane,
        inspector: Inspector,
        previews: Callable[[], bool],
        too_small: Callable[[Attempt, Exception], int | None],
    ) -> None:
        self._store = store
        self._images_dir = images_dir
        self._compressor = compressor
        self._paint = paint
        self._lane = lane
        self._inspector = inspector
        self._previews = previews
        self._too_small = too_small

    async def run(self, running: Attempt) -> PaintedSheet:
        """Generate what is missing, and keep each cell as soon as it is there.

        Raises what stops the attempt, TooSmall if cells are left for a larger GPU, and JobFailed if
        none could be generated.
        """
        sheet, filled = await self._found(running)
        job = running.job
        there = sheet.images.keys() | sheet.failures.keys()
        missing = [cell for cell in cells(job.request) if cell.n not in there]
        model = self._lane.loaded() if self._lane.loaded else None
        loaded = None if model is None else (model, ())
        order = paint_order([cell.request for cell in missing], loaded)
        keeping = asyncio.create_task(_nothing())
        try:
            for number, cell in enumerate((missing[at] for at in order), len(sheet.images) + 1):
                try:
                    painting, compressed = await self._painted(running, cell, number, filled)
                except PaintStopped as stopped:
                    if stopped.reason is not StopReason.TIMEOUT:
                        raise
                    await keeping
                    _gave_out(running, sheet)
                    break
                except (EngineLost, NotHere):
                    raise
                except Exception as error:
                    sheet.failures[cell.n] = _failure(running, cell, error)
                    continue
                # It is written while the next is generated.
                await keeping
                keep = self._keep(running, cell, painting, compressed, sheet, filled)
                keeping = asyncio.create_task(keep)
            await keeping
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError):
                keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            raise
        failed = [JobFailed(each.code, **each.params) for each in sheet.failures.values()]
        for each in failed:
            if (memory := self._too_small(running, each)) is not None:
                raise TooSmall(memory)
        if not sheet.images:
            raise failed[0]
        return await self._finished(running, sheet)

    async def _found(self, running: Attempt) -> tuple[_Sheet, FilledSheet]:
        """The cells that an earlier attempt has left. What was noted about them, and not about the
        job itself, goes from the job to the sheet.

        Where images are checked, they are looked at once more: they may be from before they were,
        or had only to be blurred. One that is refused now is deleted.
        """
        job = running.job
        noted = [notice for notice in job.warnings if CELL in notice.params]
        running.job = job = replace(
            job, warnings=tuple(notice for notice in job.warnings if notice not in noted)
        )
        sheet, filled = _Sheet(job.id), FilledSheet(job.request)
        records = await self._store.images(job.id)
        images: dict[int, PIL.Image.Image] = {}

        def look() -> None:
            for record in records:
                path = self._images_dir / record.path
                if path.is_file() and path.stat().st_size == record.bytes:
                    try:
                        with PIL.Image.open(path) as opened:
                            image = opened.convert("RGB")
                    except (OSError, SyntaxError, ValueError) as error:  # as Pillow raises them
                        reason = type(error).__name__
                        log.warning("job %s: cell %d is damaged: %s", job.id, record.n, reason)
                    else:
                        sheet.images[record.n], images[record.n] = record, image

        await asyncio.to_thread(look)
        if self._inspector.mode_of(job) != "off":
            noted = [notice for notice in noted if notice.code not in OBJECTIONS]
            for cell in cells(job.request):
                if cell.n in images:
                    running.check_stop()
                    noted += await self._looked_at_again(running, cell, images[cell.n], sheet)
        flagged = {notice.params[CELL] for notice in noted if notice.code in OBJECTIONS}
        sheet.warnings = [notice for notice in noted if notice.params[CELL] in sheet.images]
        for n in sheet.images.keys() - flagged:
            await asyncio.to_thread(filled.put, n, images[n])
        if sheet.images:
            log.info("job %s: goes on with %d cells done", job.id, len(sheet.images))
        return sheet, filled

    async def _looked_at_again(
        self, running: Attempt, cell: Cell, image: PIL.Image.Image, sheet: _Sheet
    ) -> list[Notice]:
        """What is noted about a cell that is there by how images are checked now."""
        job = running.job
        what = f"job {job.id}: a cell that is there cannot be checked"
        inspect = partial(self._inspector.inspect, job, [image])
        try:
            notices = await keep_trying(inspect, what, check=running.check_stop)
        except JobFailed as error:
            sheet.failures[cell.n] = Failure.of(error)
            file = self._images_dir / sheet.images.pop(cell.n).path

            async def forget() -> None:
                try:
                    await asyncio.to_thread(file.unlink, missing_ok=True)
                except OSError as failed:
                    raise files_error(self._images_dir, failed) from failed
                await self._store.cells.refuse(job, cell.n)

            what = f"job {job.id}: a cell is refused, but cannot be deleted"
            await keep_trying(forget, what, check=running.check_stop)
            return []
        return [_of_cell(notice, cell) for notice in notices]

    async def _painted(
        self, running: Attempt, cell: Cell, number: int, filled: FilledSheet
    ) -> tuple[Painting, Compressed]:
        """One cell, with its PNG on the way. number: how many there will be then."""
        total = running.job.request.images
        due = self._previews() and number > 1

        def adapt(progress: Progress) -> Progress:
            nonlocal due
            preview = progress.preview
            if progress.stage is Stage.PAINTING and (preview is not None or due):
                due = False
                preview = filled.jpeg(cell.n, preview)
            return replace(progress, image=number, count=total, preview=preview)

        compressed = Compressed(self._compressor)
        checked = self._inspector.mode_of(running.job) != "off"

        def painted(image: PaintedImage) -> None:
            compressed.begin(image)
            if not checked:
                filled.put(cell.n, image.image)

        try:
            return await self._paint(running, cell.request, adapt, painted), compressed
        except BaseException:
            compressed.drop()
            raise

    async def _keep(
        self,
        running: Attempt,
        cell: Cell,
        painting: Painting,
        compressed: Compressed,
        sheet: _Sheet,
        filled: FilledSheet,
    ) -> None:
        """Write the cell's file and record it, retrying until both succeed.

        One that the image check refuses is left out. Whatever it flags is in no preview: small
        among others, it may look harmless to it.
        """
        job = running.job
        [painted] = painting.images
        name = image_name(cell.request, painted.seed, cell.n, len(job.request.each))

        def save() -> ImageRecord:
            try:
                data = describe_png(compressed.of(painted), painting.recipe, painted.seed)
                return save_png(data, painted, self._images_dir / job.id / name, cell.n)
            except OSError as error:
                raise files_error(self._images_dir, error) from error

        what = f"job {job.id}: a cell is generated, but cannot be saved"
        check = running.check_stop
        inspect = partial(self._inspector.inspect, job, [painted.image])
        try:
            notices = await keep_trying(inspect, what, check=check)
        except JobFailed as error:
            compressed.drop()
            sheet.failures[cell.n] = Failure.of(error)
            return
        if not notices and self._inspector.mode_of(job) != "off":
            await asyncio.to_thread(filled.put, cell.n, painted.image)
        record = await keep_trying(lambda: asyncio.to_thread(save), what, check=check)
        said = (*painting.warnings, *notices)
        warnings = [*sheet.warnings, *(_of_cell(notice, cell) for notice in said)]
        add = partial(self._store.cells.add, job, record, warnings)
        if not await keep_trying(add, what, check=check):
            raise PaintStopped(StopReason.CANCELLED)  # or another attempt has overtaken this one
        sheet.images[cell.n], sheet.recipes[cell.n] = record, painting.recipe
        sheet.warnings = warnings

    async def _finished(self, running: Attempt, sheet: _Sheet) -> PaintedSheet:
        job, first = running.job, min(sheet.images)

        def recipes() -> dict[int, Recipe]:
            found = dict(sheet.recipes)
            for n, record in sheet.images.items():
                if n not in found and (recipe := _recipe_in(self._images_dir / record.path)):
                    found[n] = recipe
            return found

        found = await asyncio.to_thread(recipes)
        if not found:
            raise JobFailed("delivery.files_gone")
        recipe = found.get(first) or next(iter(found.values()))
        failed = [
            _of_failure(cell, sheet) for cell in cells(job.request) if cell.n in sheet.failures
        ]
        return PaintedSheet(
            job,
            self._images_dir,
            replace(recipe, request=_as_painted(job.request.bare(), found)),
            recipe,
            dict(sheet.images),
            dict(sheet.failures),
            (*sheet.warnings, *failed),
        )


async def _nothing() -> None:
    """Nothing is being kept yet."""


def _recipe_in(path: Path) -> Recipe | None:
    """What the file of an earlier attempt's cell says; None if it cannot be read."""
    try:
        return read_png(path.read_bytes()).recipe
    except (OSError, ValueError):
        return None


def _as_painted(request: GenerationRequest, recipes: dict[int, Recipe]) -> GenerationRequest:
    """The request with the kernels that each cell was generated with: a repetition needs them."""
    if request.comparison is None:
        return request
    painted = tuple(
        cell.with_kernels(recipes[n].environment.get("kernels")) if n in recipes else cell
        for n, cell in enumerate(request.comparison.cells)
    )
    return replace(request, comparison=replace(request.comparison, cells=painted))


def _gave_out(running: Attempt, sheet: _Sheet) -> None:
    """The time is up: what is missing has failed."""
    failure = Failure("job.timeout", {"seconds": round(running.seconds)})
    log.info("job %s: its time is up with %d cells", running.job.id, len(sheet.images))
    for cell in cells(running.job.request):
        if cell.n not in sheet.images:
            sheet.failures.setdefault(cell.n, failure)


def _failure(running: Attempt, cell: Cell, error: Exception) -> Failure:
    """Why a cell failed, for the sheet and the log."""
    job = running.job
    if isinstance(error, UserError):
        log.info("job %s: cell %d: %s", job.id, cell.n, error)
        return Failure.of(error)
    texts = job.request.texts
    log.error("job %s: cell %d: unexpected\n%s", job.id, cell.n, traceback_without(error, texts))
    return Failure("job.unexpected", {"id": job.id})


def _of_cell(notice: Notice, cell: Cell) -> Notice:
    """The warning with the number of the cell that it is about; see `warnings_of`."""
    return Notice(notice.code, {**notice.params, CELL: cell.n})


def _of_failure(cell: Cell, sheet: _Sheet) -> Notice:
    code = sheet.failures[cell.n].code
    return Notice(CELL_FAILED, {"values": " · ".join(cell.values), "reason": code, CELL: cell.n})
