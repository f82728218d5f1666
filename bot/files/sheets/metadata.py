"""What a sheet's file says about it: the axes, and every cell as a request of its own.

It has the infotext of its first image, which other programs read, and a text chunk `imagen-sheet`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from pydantic import TypeAdapter, ValidationError

from bot.files.metadata import has_sound_numbers, infotext, png_texts, with_texts
from bot.recipe import Recipe
from bot.request import AXES, CELLS_MAX, SEED_MAX, GenerationRequest
from bot.store import ImageRecord

SHEET: Final = "imagen-sheet"


@dataclass(frozen=True, slots=True)
class SheetMetadata:
    """What a sheet says about itself.

    job_id: of the job that made it; no proof of anything. request: with the comparison.
    pixels_sha256: of each cell's image, as in ImageRecord; None for a cell that failed.
    """

    job_id: str
    request: GenerationRequest
    pixels_sha256: tuple[str | None, ...]


def describe_sheet(
    png: bytes,
    job_id: str,
    request: GenerationRequest,
    recipe: Recipe,
    images: Mapping[int, ImageRecord],
) -> bytes:
    """`png`, made by `compress_png`, with what it shows. recipe: of its first image.

    images: the cells that are there, by number.
    """
    hashes = [images[n].pixels_sha256 if n in images else None for n in range(request.images)]
    said = {"job": job_id, "request": request.to_dict(), "pixels_sha256": hashes}
    return with_texts(png, infotext(recipe, recipe.request.seed), {SHEET: said})


def read_sheet(data: bytes) -> SheetMetadata | None:
    """What an untrusted PNG says about itself as a sheet; None if it does not say it is one.

    Its values have the right types and are finite: check them like those of any request. Raises
    only ValueError: if the file is no PNG or damaged, or what it says is invalid.
    """
    text = png_texts(data, (SHEET,)).get(SHEET)
    if text is None:
        return None
    try:
        said = json.loads(text)
        request = GenerationRequest.from_dict(said["request"])
        job_id, hashes = said["job"], tuple(said["pixels_sha256"])
        for each in (replace(request, comparison=None), *request.each):
            _reader().validate_json(json.dumps(each.to_dict()), strict=True)
        fine = isinstance(job_id, str) and all(h is None or isinstance(h, str) for h in hashes)
    except (ValidationError, ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise ValueError(f"the {SHEET} chunk is not a comparison") from None
    if not (fine and _is_whole(request, len(hashes))):
        raise ValueError(f"the {SHEET} chunk is not a comparison")
    return SheetMetadata(job_id, request, hashes)


def _is_whole(request: GenerationRequest, count: int) -> bool:
    comparison = request.comparison
    if comparison is None or not 1 <= len(comparison.axes) <= 2:
        return False
    cells = 1
    for axis in comparison.axes:
        cells *= len(axis.values)
        if axis.name not in AXES or not all(isinstance(value, str) for value in axis.values):
            return False
    return cells == len(comparison.cells) == count <= CELLS_MAX and all(
        has_sound_numbers(cell) and 0 <= cell.seed <= SEED_MAX and cell.comparison is None
        for cell in comparison.cells
    )


@cache
def _reader() -> TypeAdapter[GenerationRequest]:
    return TypeAdapter(GenerationRequest)
