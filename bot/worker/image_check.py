"""Inspector: has images looked at before anyone sees them, and says what becomes of each."""

import asyncio
import io
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from enum import Enum, auto
from pathlib import Path
from typing import Final, Protocol

import PIL.Image

from bot.errors import InvalidRequest, JobFailed, Refused, UserError
from bot.files.inputs import MASK
from bot.log import here
from bot.progress import Notice, Progress, Stage
from bot.settings.image_check import ImageCheck
from bot.store import Discord, Job, Previewing, Store
from catalog import Catalog, ImageCheckEntry

log = logging.getLogger(__name__)


class Classifier(Protocol):
    """What `bot.engine.image_check.ImageCheck` is; another one can take its place."""

    def flags(
        self, entry: ImageCheckEntry, images: Sequence[PIL.Image.Image]
    ) -> tuple[bool, ...]: ...


class Verdict(Enum):
    """UNKNOWN: the check does not work, which counts as flagged wherever it matters."""

    CLEAN = auto()
    FLAGGED = auto()
    UNKNOWN = auto()


_SAID: Final = {
    ("spoiler", Verdict.FLAGGED): "check.flagged_spoiler",
    ("spoiler", Verdict.UNKNOWN): "check.unknown_spoiler",
    ("private", Verdict.FLAGGED): "check.flagged_private",
    ("private", Verdict.UNKNOWN): "check.unknown_private",
}
_ELSEWHERE: Final = {Verdict.FLAGGED: "check.flagged", Verdict.UNKNOWN: "check.unknown"}
"""Where nothing can be blurred, nor shown to one alone."""
OBJECTIONS: Final = frozenset({*_SAID.values(), *_ELSEWHERE.values()})
"""The codes of what people are told of an image that was flagged."""


class Inspector:
    """One for all lanes, with a thread of its own.

    of_owner: for what was not asked on Discord, where it is part of the job's origin.
    """

    def __init__(
        self,
        store: Store,
        classifier: Classifier,
        catalog: Callable[[], Catalog],
        of_owner: ImageCheck,
    ) -> None:
        self.of_owner = of_owner
        self._store = store
        self._classifier = classifier
        self._catalog = catalog
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="image-check")

    def mode_of(self, job: Job) -> ImageCheck:
        """What becomes of its images. Those of bot.previews are looked at there."""
        if isinstance(job.origin, Previewing):
            return "off"
        return job.origin.image_check if isinstance(job.origin, Discord) else self.of_owner

    async def inspect(self, job: Job, images: Sequence[PIL.Image.Image]) -> tuple[Notice, ...]:
        """Look at images of `job` before they are saved.

        Returns what its person is told, after recording that they are shown only in another way,
        or not at all.
        Raises JobFailed where they may not be kept, and StoreError.
        """
        mode = self.mode_of(job)
        if mode == "off" or not images:
            return ()
        verdict = await self.verdict(images)
        if verdict is Verdict.CLEAN:
            return ()
        log.info("job %s: the image check says %s (%s)", job.id, verdict.name.lower(), mode)
        if mode == "refuse" or isinstance(job.origin, Discord):
            await self._store.image_checks.withhold(job, mode, verdict.name.lower())
        if mode == "refuse":
            raise JobFailed("check.refused" if verdict is Verdict.FLAGGED else "check.unusable")
        if not isinstance(job.origin, Discord):
            return (Notice(_ELSEWHERE[verdict], {}),)
        return (Notice(_SAID[mode, verdict], {}),)

    async def check_input(self, mode: ImageCheck, path: Path, field: str) -> None:
        """Raise InvalidRequest for an input image that may not be used. path: its PNG file.

        field: MASK is not looked at. Nothing of a mask is in what is made with it, it is shown only
        in private to who generates with it, and the network was not made for black and white: it
        would cost time, and sometimes a mask that is harmless.
        """
        if mode != "refuse" or field == MASK:
            return  # what is made from it is checked
        verdict = await self.verdict([path])
        if verdict is not Verdict.CLEAN:
            code = "check.input" if verdict is Verdict.FLAGGED else "check.unusable"
            raise InvalidRequest(field, code)

    async def check_shown(self, mode: ImageCheck, paths: Sequence[Path]) -> bool:
        """Whether stored images are to be blurred where `mode` holds. paths: their PNG files.

        Raises Refused where others may not see them.
        """
        if mode == "off":
            return False
        for path in paths:
            if (verdict := await self.verdict([path])) is not Verdict.CLEAN:
                if mode == "spoiler":
                    return True
                flagged = verdict is Verdict.FLAGGED
                raise Refused("history.flagged" if flagged else "check.unusable")
        return False

    async def verdict(self, images: Sequence[PIL.Image.Image | Path | bytes]) -> Verdict:
        """On all of `images` together. An input's PNG file and a preview's JPEG are given as such.

        Why it is unknown is logged.
        """
        entry = self._catalog().image_check
        if entry is None:
            log.error("images cannot be checked: models.toml has no [image_check]")
            return Verdict.UNKNOWN

        def look() -> bool:
            return any(self._classifier.flags(entry, [_opened(image) for image in images]))

        try:
            flagged = await asyncio.get_running_loop().run_in_executor(self._thread, here(look))
        except UserError as error:
            log.error("images cannot be checked: %s", error)
            return Verdict.UNKNOWN
        except Exception:
            log.exception("images cannot be checked")
            return Verdict.UNKNOWN
        return Verdict.FLAGGED if flagged else Verdict.CLEAN

    def shut_down(self) -> None:
        """Abandon the thread, even if it is busy."""
        self._thread.shutdown(wait=False, cancel_futures=True)


class CheckedPreviews:
    """Passes on the reports of a job, whose previews are looked at first where that is asked for.

    One is looked at at a time; others that come meanwhile are not shown. show: must return at once,
    and ignore what has ended.
    """

    def __init__(self, inspector: Inspector, show: Callable[[Job, Progress], None]) -> None:
        self._inspector = inspector
        self._show = show
        self._latest: tuple[str, Progress] | None = None
        self._looking: asyncio.Task[None] | None = None

    def report(self, job: Job, progress: Progress) -> None:
        preview = progress.preview
        if preview is None or self._inspector.mode_of(job) == "off":
            self._latest = (job.id, progress)
            self._show(job, progress)
            return
        without = replace(progress, preview=None)
        self._latest = (job.id, without)
        self._show(job, without)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(job, progress.image, preview))

    async def _look(self, job: Job, image: int, preview: bytes) -> None:
        if await self._inspector.verdict([preview]) is not Verdict.CLEAN or self._latest is None:
            return
        job_id, now = self._latest
        if job_id == job.id and now.stage is Stage.PAINTING and now.image == image:
            self._show(job, replace(now, preview=preview))


class CheckedInputs:
    """Looks at the input images of a job before it is generated, wherever they come from: a result
    that was not checked itself, or an upload from before this was asked for. A mask is one of them
    only where it is used as a picture, too.

    path: returns the file of an input. A mode other than `refuse` lets all be used, since what is
    made from them is checked.
    """

    def __init__(self, inspector: Inspector, path: Callable[[str], Path]) -> None:
        self._inspector = inspector
        self._path = path

    async def __call__(self, job: Job) -> None:
        """Raise JobFailed if one of them may not be used."""
        mode = self._inspector.mode_of(job)
        inputs = [*job.request.inputs]
        if (init := job.request.init_image) is not None and init.mask is not None:
            inputs.remove(init.mask)  # once
        for sha256 in inputs:
            path = self._path(sha256)
            if not await asyncio.to_thread(path.exists):
                continue  # which ends the job with words of its own
            try:
                await self._inspector.check_input(mode, path, "image")
            except InvalidRequest as refused:
                raise JobFailed(refused.code) from refused


def _opened(image: PIL.Image.Image | Path | bytes) -> PIL.Image.Image:
    """In RGB. A path is that of an input, and bytes are those of a preview: both are our own."""
    if isinstance(image, bytes):
        image = PIL.Image.open(io.BytesIO(image), formats=("JPEG",))
    elif isinstance(image, Path):
        image = PIL.Image.open(image, formats=("PNG",))
    return image.convert("RGB")
