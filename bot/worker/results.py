"""What an attempt has made, ready to be saved: images, the sheet of a comparison, or words."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final, Protocol

import PIL.Image

from bot.files.images import Compressed, save_images, save_png
from bot.files.metadata import compress_png
from bot.files.sheets.drawing import Content, Failed, draw_sheet
from bot.files.sheets.metadata import describe_sheet
from bot.painting import PaintedImage, Painting
from bot.progress import Notice
from bot.recipe import Recipe
from bot.store import ELSEWHERE, Failure, ImageRecord, Job, sheet_number
from bot.texts.language import Say, Texts

DEVICE: Final = ("device_name", "device")
"""What a recipe's environment says of the kind of device."""


class Result(Protocol):
    """recipe, warnings: for the job."""

    @property
    def recipe(self) -> Recipe: ...

    @property
    def warnings(self) -> tuple[Notice, ...]: ...

    @property
    def words(self) -> str | None:
        """What is in an image; None of what is one itself."""

    @property
    def unchecked(self) -> Sequence[PIL.Image.Image]:
        """Those that have not been through the image check."""

    def save(self) -> tuple[ImageRecord, ...]:
        """Write the files. Blocks; raises OSError, and may then be called again."""

    def drop(self) -> None:
        """Do no more work for it: it is saved, or not needed."""


@dataclass(frozen=True, slots=True)
class PaintedImages:
    """All images of a request, compressed while the next ones were generated."""

    job: Job
    folder: Path
    painting: Painting
    compressed: Compressed

    @property
    def recipe(self) -> Recipe:
        return self.painting.recipe

    @property
    def warnings(self) -> tuple[Notice, ...]:
        return self.painting.warnings

    @property
    def words(self) -> None:
        return None

    @property
    def unchecked(self) -> Sequence[PIL.Image.Image]:
        return [painted.image for painted in self.painting.images]

    def save(self) -> tuple[ImageRecord, ...]:
        return save_images(self.painting, self.job, self.folder, self.compressed.of)

    def drop(self) -> None:
        self.compressed.drop()


@dataclass(frozen=True, slots=True)
class PaintedSheet:
    """A comparison whose cells are on disk or have failed; what is left is the sheet.

    recipe: of the job. first: of the first image that is there. images, failures: by cell.
    """

    job: Job
    folder: Path
    recipe: Recipe
    first: Recipe
    images: Mapping[int, ImageRecord]
    failures: Mapping[int, Failure]
    warnings: tuple[Notice, ...]

    @property
    def words(self) -> None:
        return None

    @property
    def unchecked(self) -> Sequence[PIL.Image.Image]:
        return ()  # each cell was, before it was kept

    def save(self) -> tuple[ImageRecord, ...]:
        request = self.job.request.bare()
        sheet = draw_sheet(request, [self._content(n) for n in range(request.images)])
        png = describe_sheet(compress_png(sheet), self.job.id, request, self.first, self.images)
        pixels = hashlib.sha256(sheet.tobytes()).hexdigest()
        path = self.folder / self.job.id / f"comparison-{request.base_seed}.png"
        painted = PaintedImage(request.seed, sheet, pixels)
        return (save_png(png, painted, path, sheet_number(request)),)

    def drop(self) -> None:
        """Nothing is under way."""

    def _content(self, n: int) -> Content:
        if n in self.images:
            return self.folder / self.images[n].path
        failure = self.failures[n]
        # Always in English: the same comparison has the same sheet.
        sentence = _english()(failure.code, **failure.params)
        return Failed(sentence.replace("`", "").replace("**", ""))


@dataclass(frozen=True, slots=True)
class Described:
    """The words for an image. picture: its PNG file, which is shown with them."""

    painting: Painting
    picture: bytes

    @property
    def recipe(self) -> Recipe:
        return self.painting.recipe

    @property
    def warnings(self) -> tuple[Notice, ...]:
        return self.painting.warnings

    @property
    def words(self) -> str | None:
        return self.painting.words

    @property
    def unchecked(self) -> Sequence[PIL.Image.Image]:
        # Only its header is read here; whoever looks at it decodes it.
        return [PIL.Image.open(BytesIO(self.picture), formats=("PNG",))]

    def save(self) -> tuple[ImageRecord, ...]:
        return ()

    def drop(self) -> None:
        """Nothing is under way."""


def made_elsewhere(recipe: Recipe, original: Recipe) -> tuple[Notice, ...]:
    """That an image which was to be repeated was generated on another kind of device than before.

    Other versions of the libraries on the same one are for the verdict to name.
    """
    here, there = ([each.environment.get(name) for name in DEVICE] for each in (recipe, original))
    if here == there:
        return ()
    return (Notice(ELSEWHERE, {"device": here[0] or here[1] or "?"}),)


@cache
def _english() -> Say:
    return Texts.read().speaker()
